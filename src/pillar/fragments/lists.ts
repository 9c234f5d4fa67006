/**
 * Memberships that are too long for a message, or whose message was lost, are asked of the tracker's exchange: in the
 * background, each pillar at another moment, until they are here.
 */
import { limits } from '../../limits.ts'
import { type Membership, membershipPath, parseMembership } from '../../protocol/fragments.ts'
import { drop } from '../../transfer/pull.ts'
import { jittered } from '../../world/world.ts'
import { type Bureau, keeps } from './bureau.ts'

/** The tracker will not tell it, however often it is asked. */
class Refused extends Error {}

export function membershipLists(bureau: Bureau) {
  const { desk, notes } = bureau
  const { world, stopping } = desk
  /** The newest version of each collection that was told of and is not here. */
  const wanted = new Map<string, number>()
  const going = new Map<string, Promise<void>>()

  async function fetchNewest(collection: string): Promise<void> {
    const version = wanted.get(collection)
    const fetched = await ask(bureau, collection)
    if (keeps(desk, collection)) await notes.noteMemberships([fetched])
    if (wanted.get(collection) === version || wanted.get(collection) === fetched.version)
      wanted.delete(collection)
  }
  async function run(collection: string): Promise<void> {
    let pauseMs: number = limits.membershipSpreadMs
    while (wanted.has(collection)) {
      await world.clock.sleep(jittered(world, pauseMs) / 2, stopping)
      if (stopping.aborted) return
      try {
        await fetchNewest(collection)
        pauseMs = limits.membershipSpreadMs
      } catch (error) {
        world.log.warn('membership.notFetched', { collection, why: String(error) })
        // Said again, it is asked again.
        if (error instanceof Refused) wanted.delete(collection)
        pauseMs = Math.min(pauseMs * 2, limits.membershipAgainMsMax)
      }
    }
  }
  return {
    /** There is this version. */
    async heard(collection: string, version: number): Promise<void> {
      if (!keeps(desk, collection)) return
      const known = await notes.memberships(collection)
      if (known.some((one) => one.version === version)) return
      wanted.set(collection, version)
      if (going.has(collection)) return
      const ended = run(collection).finally(() => going.delete(collection))
      going.set(collection, ended)
    },
    idle: async (): Promise<void> => void (await Promise.all(going.values())),
  }
}

async function ask({ desk, notes }: Bureau, collection: string): Promise<Membership> {
  const { directory, dial, stopping: signal } = desk
  const identity = (await notes.epoch())?.tracker ?? ''
  const exchange = directory.document().exchanges.find((one) => one.identity === identity)
  let why: unknown = new Error(`the archive document has no address of ${identity}`)
  for (const url of exchange?.urls ?? [])
    try {
      const response = await dial(
        { identity, url },
        { method: 'GET', path: membershipPath(collection), headers: {} },
        { connectMs: limits.connectMs, idleMs: limits.transferIdleMs, signal },
      )
      if (response.status !== 200) {
        const said = `${identity} answered ${response.status} (${await drop(response)})`
        throw response.status === 503 ? new Error(said) : new Refused(said)
      }
      const found = parseMembership(collection, await textOf(response.body ?? nothing()))
      if (!found || found.count !== undefined) throw new Error(`${identity} told no membership`)
      return found
    } catch (error) {
      signal.throwIfAborted()
      why = error
    }
  throw why
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of body) {
    size += bytes.length
    if (size > limits.membershipBytesMax) throw new Error('the membership is too long')
    parts.push(bytes.slice())
  }
  return Buffer.concat(parts).toString()
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
