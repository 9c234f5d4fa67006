/**
 * Who was away for very long. Counted is only the time in which we were there ourselves and did not hear of the pillar,
 * so that neither a wrong clock nor our own absence makes anybody a stranger.
 */
import type { Client } from '../client/client.ts'
import type { State } from '../state/state.ts'

export interface Absence {
  /** It is there. */
  notice(pillar: string): Promise<void>
  /** Pillars whose files of this collection are to be compared before anything is taken from them. */
  doubted(collection: string): Promise<Set<string>>
  compared(collection: string, pillars: readonly string[]): Promise<void>
  idle(): Promise<void>
}

const tickMs = 3_600_000
/** Away for so long: a stranger, until compared. */
export const strangerMs = 30 * 24 * 3_600_000

const awayKey = (pillar: string): string => `away ${pillar}`
const doubtKey = (collection: string, pillar: string): string => `doubted ${collection} ${pillar}`

export function absence(client: Client, state: State, signal: AbortSignal): Absence {
  const { world, directory, line } = client
  const collections = () => directory.document().collections
  const awayMs = async (pillar: string): Promise<number> =>
    Number((await state.get(awayKey(pillar))) ?? 0)

  async function count(): Promise<void> {
    while (!signal.aborted) {
      await world.clock.sleep(tickMs, signal)
      if (signal.aborted) return
      const names = new Set(collections().flatMap(({ pillars }) => pillars))
      // Who has said how long it goes is no stranger for that time.
      const away = [...names].filter(
        (one) => line.presence(one) !== 'online' && line.downUntil(one) === undefined,
      )
      const changes = away.map(
        async (one) => [awayKey(one), `${(await awayMs(one)) + tickMs}`] as const,
      )
      await state.change(await Promise.all(changes))
    }
  }
  const counting = count().catch((error) =>
    world.log.error('absence.failed', { why: String(error) }),
  )
  return {
    async notice(pillar) {
      const away = await awayMs(pillar)
      if (away === 0) return
      const mine = collections().filter(({ pillars }) => pillars.includes(pillar))
      const doubts = mine.map(({ name }) => [doubtKey(name, pillar), `${away}`] as const)
      await state.change([[awayKey(pillar), undefined], ...(away >= strangerMs ? doubts : [])])
      if (away >= strangerMs) world.log.warn('repair.catchingUp', { pillar, awayMs: away })
    },
    async doubted(collection) {
      const prefix = doubtKey(collection, '')
      return new Set((await state.list(prefix)).map(([key]) => key.slice(prefix.length)))
    },
    compared: (collection, pillars) =>
      state.change(pillars.map((pillar) => [doubtKey(collection, pillar), undefined])),
    idle: () => counting,
  }
}
