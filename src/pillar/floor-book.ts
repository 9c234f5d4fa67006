/**
 * What was destroyed here lately: by whom, how much, in which hour of running. In one durable piece; the hours are counted
 * by what the pillar has run in all its runs, so that no clock, no restart and no time switched off makes any of it old.
 */
import type { State } from '../state/state.ts'
import type { Clock } from '../world/world.ts'

/** Numbers of files by hour of running. */
type Hours = Record<string, number>

/** As it is kept. */
interface Kept {
  /** Milliseconds that this pillar has run, in all its runs. */
  readonly ran: number
  /** By account, then by collection. */
  readonly spent: Readonly<Record<string, Readonly<Record<string, Hours>>>>
  /** How many files a collection had, and in which hour that was seen. */
  readonly base: Readonly<Record<string, { readonly files: number; readonly hour: number }>>
  /** In which hour an alarm was raised, by account. */
  readonly alarmed: Hours
}

export interface FloorBook {
  /** Files that went within the last day: of one account or all, of one collection or all. */
  spent(isAccount: (account: string) => boolean, collection?: string): number
  /** Resolves only once it would survive a power cut. */
  spend(account: string, collection: string, files: number): Promise<void>
  /** How many files there were when the day began. */
  base(collection: string, now: () => Promise<number>): Promise<number>
  /** True once a day. */
  isNews(account: string): boolean
  /** Notes how long the pillar has run, where that matters. */
  keep(): Promise<void>
}

const key = 'floors'
const hourMs = 3_600_000
const dayHours = 24

/** Rejects when it can not be read: then nobody knows how much went. */
export async function openFloorBook(
  state: State,
  clock: Pick<Clock, 'monotonic'>,
): Promise<FloorBook> {
  const text = await state.get(key)
  const empty: Kept = { ran: 0, spent: {}, base: {}, alarmed: {} }
  const kept = text === undefined ? empty : (JSON.parse(text) as Kept)
  const began = clock.monotonic()
  const ran = (): number => kept.ran + clock.monotonic() - began
  const hour = (): number => Math.floor(ran() / hourMs)
  const isFresh = (at: number): boolean => at > hour() - dayHours
  const accounts = new Map(
    Object.entries(kept.spent).map(([who, some]) => [who, new Map(Object.entries(some))]),
  )
  const bases = new Map(Object.entries(kept.base))
  const alarmed = new Map(Object.entries(kept.alarmed))

  const fresh = (hours: Hours): [string, number][] =>
    Object.entries(hours).filter(([at]) => isFresh(Number(at)))
  function forget(): void {
    for (const [who, account] of accounts) {
      for (const [collection, hours] of account) {
        const left = Object.fromEntries(fresh(hours))
        if (Object.keys(left).length > 0) account.set(collection, left)
        else account.delete(collection)
      }
      if (account.size === 0) accounts.delete(who)
    }
    for (const [who, at] of alarmed) if (!isFresh(at)) alarmed.delete(who)
    for (const [collection, { hour: at }] of bases) if (!isFresh(at)) bases.delete(collection)
  }
  async function write(): Promise<void> {
    forget()
    const spent = Object.fromEntries(
      [...accounts].map(([who, account]) => [who, Object.fromEntries(account)]),
    )
    const [base, cried] = [Object.fromEntries(bases), Object.fromEntries(alarmed)]
    const now: Kept = { ran: ran(), spent, base, alarmed: cried }
    await state.change([[key, JSON.stringify(now)]])
  }
  return {
    spent: (isAccount, collection) =>
      [...accounts]
        .filter(([who]) => isAccount(who))
        .flatMap(([, account]) => [...account])
        .filter(([of]) => collection === undefined || of === collection)
        .flatMap(([, hours]) => fresh(hours))
        .reduce((sum, [, files]) => sum + files, 0),
    async spend(who, collection, files) {
      const account = accounts.get(who) ?? new Map<string, Hours>()
      const hours = account.get(collection) ?? {}
      hours[hour()] = (hours[hour()] ?? 0) + files
      account.set(collection, hours)
      accounts.set(who, account)
      await write()
    },
    async base(collection, now) {
      const noted = bases.get(collection)
      if (noted && isFresh(noted.hour)) return noted.files
      const files = await now()
      bases.set(collection, { files, hour: hour() })
      return files
    },
    isNews(who) {
      const at = alarmed.get(who)
      if (at !== undefined && isFresh(at)) return false
      alarmed.set(who, hour())
      return true
    },
    async keep() {
      if (accounts.size + alarmed.size > 0) await write()
    },
  }
}
