/** What the last whole comparison of a collection has found, durably. */
import type { Finding } from '../protocol/repairs.ts'
import type { State } from '../state/state.ts'

export interface Remembered {
  /** Digests by pillar, after which nothing was left to be done; none when something was. */
  readonly digests: Readonly<Record<string, string>>
  readonly findings: readonly Finding[]
  /** What an alarm was raised about, by kind: not again for the same. */
  readonly told: Readonly<Partial<Record<Finding['is'], string>>>
}

export interface Memory {
  keep(collection: string, remembered: Remembered): Promise<void>
  told(collection: string): Promise<Remembered['told']>
  /** These pillars were compared when they had just these files, and nothing could be done. */
  knows(collection: string, digests: Readonly<Record<string, string>>): Promise<boolean>
  findings(collections: readonly string[]): Promise<Finding[]>
}

const keyOf = (collection: string): string => `compared ${collection}`

export function memory(state: State): Memory {
  const read = async (collection: string): Promise<Remembered> => {
    const text = await state.get(keyOf(collection))
    return text === undefined
      ? { digests: {}, findings: [], told: {} }
      : (JSON.parse(text) as Remembered)
  }
  return {
    keep: (collection, remembered) =>
      state.change([[keyOf(collection), JSON.stringify(remembered)]]),
    told: async (collection) => (await read(collection)).told,
    async knows(collection, digests) {
      const { digests: known } = await read(collection)
      return Object.entries(digests).every(([pillar, digest]) => known[pillar] === digest)
    },
    findings: async (collections) =>
      (await Promise.all(collections.map(read))).flatMap(({ findings }) => findings),
  }
}
