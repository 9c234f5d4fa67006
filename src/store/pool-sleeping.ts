/** Disks of a pool that sleep, as whoever plans work wants to know of them. */
import type { Sleeper } from '../bay/bay.ts'
import type { StoredFile } from '../index/index.ts'
import type { Member, Members } from './pool-members.ts'
import { slotOf } from './pool-slots.ts'
import type { Sleeping } from './store.ts'

export function poolSleeping(members: Members): Sleeping {
  const sleepers = (all: Iterable<Member | undefined>): Sleeper[] =>
    [...new Set(all)].flatMap((member) => member?.sleeper ?? [])
  const here = (): Member[] => [...members.here.values()]
  /** While there is but one volume, nothing says which it is. */
  const homeOf = (slot: number): Member | undefined =>
    members.only() ? here()[0] : members.at(slot)
  /** They start one after the other. */
  const msToWake = (all: readonly Sleeper[]): number =>
    Math.max(
      0,
      ...all.filter((one) => one.asleep()).map((one, before) => Math.ceil(one.msToWake(before))),
    )
  return {
    asleep: () => sleepers(here()).some((one) => one.asleep()),
    msToRead: (files) =>
      msToWake(sleepers(files.map((file) => file && homeOf(slotOf(file.sequence))))),
    msToWrite(standings) {
      const welcome = standings.flatMap((one) => (one.is === 'welcome' ? [one] : []))
      return msToWake(
        sleepers(welcome.map(({ volume }) => members.here.get(volume ?? '') ?? homeOf(-1))),
      )
    },
    // Of all of them together, each tells the same.
    msWaking: () => Math.max(0, ...sleepers(here()).map((one) => one.msWaking())),
    workEveryMs: () => Math.max(0, ...sleepers(here()).map(({ workEveryMs }) => workEveryMs)),
    byDisk(files) {
      const slots = new Map<number, StoredFile[]>()
      for (const file of files) {
        const slot = slotOf(file.sequence)
        slots.set(slot, [...(slots.get(slot) ?? []), file])
      }
      const isAsleep = (slot: number): boolean => homeOf(slot)?.sleeper?.asleep() ?? false
      // Those that are awake first.
      return [...slots]
        .sort(([a], [b]) => Number(isAsleep(a)) - Number(isAsleep(b)))
        .flatMap(([, group]) => group)
    },
  }
}
