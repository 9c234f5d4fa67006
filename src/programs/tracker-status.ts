/** `colonnade-tracker status`: asks the tracker that runs, by its own keys. */
import { findingLine, repairLine } from '../cli/repairs.ts'
import { startClient } from '../client/client.ts'
import { statuses } from '../client/list.ts'
import { repairsUnderWay } from '../client/repairs.ts'
import { openState } from '../state/sqlite.ts'
import type { TrackerConfig } from '../system/config-shapes.ts'
import { openMember } from '../system/member.ts'
import type { World } from '../world/world.ts'

/** The broker has to let us in within this. */
const connectMs = 10_000

/** Lines for people; rejects with a sentence when the tracker does not answer. */
export async function trackerStatus(world: World, config: TrackerConfig): Promise<string[]> {
  const state = openState(':memory:')
  const member = await openMember(world, config, state)
  const instance = Buffer.from(world.random.bytes(6)).toString('hex')
  const client = await startClient({ ...member, world, instance })
  const silent = new Error(`the tracker does not answer at ${config['broker.url']}; is it running?`)
  try {
    const late = world.clock.sleep(connectMs).then(() => 'late' as const)
    if ((await Promise.race([client.line.connected(), late])) === 'late') throw silent
    const told = await repairsUnderWay(client, client.signal)
    if (!told) throw silent
    const lines: string[] = []
    for (const { name } of client.directory.document().collections) {
      const found = await statuses(client, name, client.signal)
      const pillars = [...found].map(([pillar, status]) => {
        if (status) return `${pillar} ${status.files} files`
        const isDown = client.line.downUntil(pillar) !== undefined
        return isDown ? `${pillar} is down on purpose, for lack of power` : `${pillar} is not there`
      })
      lines.push(`${name}: ${pillars.join(', ')}`)
      for (const one of told.repairs)
        if (one.collection === name) lines.push(`  ${repairLine(one)}`)
      for (const one of told.findings)
        if (one.collection === name) lines.push(`  ${findingLine(one)}`)
    }
    return lines
  } finally {
    await client.close()
    member.dial.close()
    await state.close()
  }
}
