/** What is owed to whom, durably: one entry a file and pillar. */
import type { OfferedFile } from '../protocol/parts.ts'
import type { State } from '../state/state.ts'

export interface Debt {
  readonly collection: string
  readonly pillar: string
  readonly file: OfferedFile
  /** Pillars that had it when it was said. */
  readonly holders: readonly string[]
}

export interface Ledger {
  /** Resolves only once the debts would survive a power cut. */
  owe(debts: readonly Debt[]): Promise<void>
  settle(debts: readonly Debt[]): Promise<void>
  of(pillar: string): Promise<Debt[]>
  all(): Promise<Debt[]>
}

const keyOf = ({ pillar, collection, file }: Debt): string =>
  `owed ${pillar} ${collection} ${file.id}`

export function ledger(state: State): Ledger {
  const read = async (prefix: string): Promise<Debt[]> =>
    (await state.list(prefix)).map(([, text]) => JSON.parse(text) as Debt)
  return {
    owe: (debts) => state.change(debts.map((debt) => [keyOf(debt), JSON.stringify(debt)])),
    settle: (debts) => state.change(debts.map((debt) => [keyOf(debt), undefined])),
    of: (pillar) => read(`owed ${pillar} `),
    all: () => read('owed '),
  }
}
