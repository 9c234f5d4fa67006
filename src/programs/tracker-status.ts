/** `colonnade-tracker status`, `retire` and `lost`: ask the tracker that runs, by its own keys. */
import { farewell, unusableLine, verdictsOf } from '../cli/leaving.ts'
import { findingLine, repairLine } from '../cli/repairs.ts'
import { type Client, startClient } from '../client/client.ts'
import { statuses } from '../client/list.ts'
import { repairsUnderWay } from '../client/repairs.ts'
import { sayOfPillar } from '../client/words.ts'
import type { Leaving, PillarWord } from '../protocol/words.ts'
import { openState } from '../state/sqlite.ts'
import { ConfigError } from '../system/config.ts'
import type { TrackerConfig } from '../system/config-shapes.ts'
import { openMember } from '../system/member.ts'
import type { World } from '../world/world.ts'

/** The broker has to let us in within this. */
const connectMs = 10_000

/** Does something as the tracker itself, beside the one that runs; rejects with a sentence when it does not answer. */
async function besideTracker<T>(
  world: World,
  config: TrackerConfig,
  work: (client: Client) => Promise<T | undefined>,
): Promise<T> {
  const state = openState(':memory:')
  const member = await openMember(world, config, state)
  const instance = Buffer.from(world.random.bytes(6)).toString('hex')
  const client = await startClient({ ...member, world, instance })
  const silent = new Error(`the tracker does not answer at ${config['broker.url']}; is it running?`)
  try {
    const late = world.clock.sleep(connectMs).then(() => 'late' as const)
    if ((await Promise.race([client.line.connected(), late])) === 'late') throw silent
    const done = await work(client)
    if (done === undefined) throw silent
    return done
  } finally {
    await client.close()
    member.dial.close()
    await state.close()
  }
}

/** Lines for people. */
export const trackerStatus = (world: World, config: TrackerConfig): Promise<string[]> =>
  besideTracker(world, config, async (client) => {
    const told = await repairsUnderWay(client, client.signal)
    if (!told) return undefined
    const { leaving = [], unusable = [] } = told
    const names = leaving.map(({ pillar }) => pillar)
    const done = new Set<Leaving>()
    const lines: string[] = []
    for (const collection of client.directory.document().collections) {
      const { name, copiesMin, pillars } = collection
      const found = await statuses(client, name, client.signal)
      const there = [...found].map(([pillar, status]) => {
        if (status) return `${pillar} ${status.files} files`
        const isDown = client.line.downUntil(pillar) !== undefined
        return isDown ? `${pillar} is down on purpose, for lack of power` : `${pillar} is not there`
      })
      lines.push(`${name}: ${there.join(', ')}`)
      const about = {
        statuses: found,
        leaving: names,
        copiesMin: Math.min(copiesMin, pillars.length),
      }
      for (const one of leaving.filter((each) => each.collection === name)) {
        const { line, isDone } = farewell(one, about)
        if (isDone) done.add(one)
        lines.push(`  ${line}`)
      }
      for (const one of unusable) if (one.collection === name) lines.push(`  ${unusableLine(one)}`)
      for (const one of told.repairs)
        if (one.collection === name) lines.push(`  ${repairLine(one)}`)
      for (const one of told.findings)
        if (one.collection === name) lines.push(`  ${findingLine(one)}`)
    }
    const notes = (told.notes ?? []).map((note) => `attention: ${note}`)
    return [...lines, ...verdictsOf(leaving, (one) => done.has(one)), ...notes]
  })

/** Resolves with what is to be said of it; rejects when the tracker refuses, with what to do instead. */
export const sayWord = (
  world: World,
  config: TrackerConfig,
  pillar: string,
  word: PillarWord | undefined,
  force: boolean,
): Promise<string[]> =>
  besideTracker(world, config, async (client) => {
    const answer = await sayOfPillar(client, pillar, word, force)
    if (!answer) return undefined
    const { responseInfo, scarce } = answer
    const short = scarce.map(
      ({ collection, pillars, needed }) =>
        `${collection} would be left with ${pillars} of ${needed} pillars that it needs`,
    )
    if (responseInfo.code !== 'OPERATION_COMPLETED') {
      const [why = responseInfo.code, hint] = (responseInfo.text ?? '').split('; ')
      if (hint !== undefined) throw new ConfigError(why, hint)
      if (short.length === 0) throw new Error(why)
      throw new ConfigError(
        short.join('; '),
        'add a pillar to it first (`colonnade collection set`), or repeat with --force',
      )
    }
    return [sentenceOf(pillar, word), ...short.map((one) => `attention: ${one}`)]
  })

function sentenceOf(pillar: string, word: PillarWord | undefined): string {
  if (word === undefined) return `${pillar} counts again`
  if (word === 'lost')
    return `${pillar} is given up: what it had is brought to its copies on the others now; it counts again when it comes back`
  return `${pillar} gets nothing new; its copies are moved away: \`colonnade-tracker status\` says how far it is, and when it can be switched off`
}
