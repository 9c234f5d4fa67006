/** What is owed to whom, durably: one entry a file and pillar. */
import type { OfferedFile } from '../protocol/parts.ts'
import type { State } from '../state/state.ts'

export interface Debt {
  readonly collection: string
  readonly pillar: string
  readonly file: OfferedFile
  /** Pillars that had it when it was said. */
  readonly holders: readonly string[]
  /** Nobody put it just now: we have found that the pillar lacks it. */
  readonly repair?: true
}

export type DebtKind = 'owed' | 'repair'

export interface Ledger {
  /** Resolves only once the debts would survive a power cut. Said again, a debt is still one. */
  owe(debts: readonly Debt[]): Promise<void>
  settle(debts: readonly Debt[]): Promise<void>
  /** All to one pillar, a page at a time: what clients have put first, repairs afterwards. */
  to(pillar: string): AsyncGenerator<Debt[]>
  has(debt: Debt): Promise<boolean>
  /** How many of this kind, or of both; of one collection, or of all. */
  count(pillar: string, kind?: DebtKind, collection?: string): Promise<number>
  all(): Promise<Debt[]>
}

const kinds: readonly DebtKind[] = ['owed', 'repair']
const pageMax = 256

export const debtKey = ({ repair, pillar, collection, file }: Debt): string =>
  `${prefixOf(repair ? 'repair' : 'owed', pillar)}${collection} ${file.id}`
const prefixOf = (kind: DebtKind, pillar: string): string => `${kind} ${pillar} `

export function ledger(state: State): Ledger {
  async function* pages(prefix: string): AsyncGenerator<Debt[]> {
    let after: string | undefined
    for (;;) {
      const page = await state.list(prefix, { after, limit: pageMax })
      if (page.length > 0) yield page.map(([, text]) => JSON.parse(text) as Debt)
      if (page.length < pageMax) return
      after = page.at(-1)?.[0]
    }
  }
  return {
    owe: (debts) => state.change(debts.map((debt) => [debtKey(debt), JSON.stringify(debt)])),
    settle: (debts) => state.change(debts.map((debt) => [debtKey(debt), undefined])),
    async *to(pillar) {
      for (const kind of kinds) yield* pages(prefixOf(kind, pillar))
    },
    has: async (debt) => (await state.get(debtKey(debt))) !== undefined,
    async count(pillar, kind, collection) {
      const within = collection === undefined ? '' : `${collection} `
      let found = 0
      for (const one of kind ? [kind] : kinds)
        found += await state.count(`${prefixOf(one, pillar)}${within}`)
      return found
    },
    async all() {
      const found: Debt[] = []
      for (const kind of kinds) for await (const page of pages(`${kind} `)) found.push(...page)
      return found
    },
  }
}
