/** How far repairs are: what was found missing, what of it has not become a debt yet, and what is owed. */
import type { Repair } from '../protocol/repairs.ts'
import type { RepairParts } from './repair.ts'

export interface Tally {
  /** So many files are to come to these pillars; the function notes one that has become a debt. */
  begin(
    collection: string,
    pillars: readonly string[],
    lacking: readonly number[],
  ): (pillar: string) => void
  /** No more of this plan will become debts. */
  listed(collection: string, pillars: readonly string[]): Promise<void>
  /** All debts to this pillar are settled. */
  paid(pillar: string): void
  repairs(): Promise<Repair[]>
}

interface Line {
  readonly collection: string
  readonly pillar: string
  readonly files: number
  readonly since: number
  /** Not yet debts. */
  toCome: number
}

export function tally({ client, ledger }: Pick<RepairParts, 'client' | 'ledger'>): Tally {
  const { clock, log } = client.world
  const lines = new Map<string, Line>()
  const keyOf = (collection: string, pillar: string): string => `${collection} ${pillar}`

  function end(collection: string, pillar: string): void {
    const line = lines.get(keyOf(collection, pillar))
    if (!line || !lines.delete(keyOf(collection, pillar))) return
    const ms = Math.round(clock.monotonic() - line.since)
    log.info('repair.done', { collection, pillar, files: line.files, ms })
  }
  return {
    begin(collection, pillars, lacking) {
      for (const [n, pillar] of pillars.entries()) {
        const files = lacking[n] ?? 0
        if (files === 0) continue
        const known = lines.get(keyOf(collection, pillar))
        lines.set(keyOf(collection, pillar), {
          ...{ collection, pillar, toCome: files },
          // Found again in the middle: it began with more.
          files: Math.max(files, known?.files ?? 0),
          since: known?.since ?? clock.monotonic(),
        })
        if (!known) log.info('repair.begun', { collection, pillar, files })
      }
      return (pillar) => {
        const line = lines.get(keyOf(collection, pillar))
        if (line && line.toCome > 0) line.toCome--
      }
    },
    async listed(collection, pillars) {
      for (const pillar of pillars) {
        const line = lines.get(keyOf(collection, pillar))
        if (line) line.toCome = 0
        if ((await ledger.count(pillar, 'repair', collection)) === 0) end(collection, pillar)
      }
    },
    paid(pillar) {
      for (const { collection, pillar: other, toCome } of [...lines.values()])
        if (other === pillar && toCome === 0) end(collection, pillar)
    },
    async repairs() {
      const found: Repair[] = []
      for (const { name, pillars } of client.directory.document().collections)
        for (const pillar of pillars) {
          const line = lines.get(keyOf(name, pillar))
          const open = await ledger.count(pillar, 'repair', name)
          const filesLeft = open + (line?.toCome ?? 0)
          if (filesLeft === 0) continue
          const files = Math.max(line?.files ?? 0, filesLeft)
          const done = files - filesLeft
          const ranMs = line ? clock.monotonic() - line.since : 0
          found.push({
            ...{ collection: name, pillar, files, filesLeft },
            ...(done > 0 ? { msLeft: Math.round((ranMs / done) * filesLeft) } : {}),
          })
        }
      return found
    },
  }
}
