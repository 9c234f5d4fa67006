/**
 * Requests and answers of several volumes. A request is remembered by each volume that has a file of it, and its answer is
 * kept there: no step needs two of them to commit, and each knows by itself what it has promised.
 */
import type { AcceptedRequest, Change, StoredAnswer } from '../index/index.ts'
import type { Member, Members } from './pool-members.ts'
import type { Answering } from './store.ts'

export interface PoolAnswering extends Answering {
  /** These remember the request. */
  holds(key: string, volumes: readonly string[]): void
  /** A volume that did not answer in time: what it did meanwhile is undone when it answers again. */
  late(member: Member, undo: () => void): void
  /** What a volume remembers that has come, or answers again, and is answered by now, or still to be done. */
  reconcile(member: Member): Promise<void>
}

type Answer = Extract<Change, { do: 'answer' }>

export function poolAnswering(
  members: Members,
  resume: (requests: readonly AcceptedRequest[]) => void,
): PoolAnswering {
  const holders = new Map<string, Set<string>>()
  const undoing = new Map<string, (() => void)[]>()

  async function answer(key: string): Promise<StoredAnswer | undefined> {
    const answers = await members.each((member) => member.store.answer(key))
    return answers.find(({ value }) => value !== undefined)?.value
  }
  /** To all that remember the request; one must have it. */
  async function conclude(change: Answer): Promise<void> {
    const ready = members.ready()
    const mine = ready.filter(({ id }) => holders.get(change.key)?.has(id))
    const wanted = mine.length > 0 ? mine : ready.slice(0, 1)
    const done = await Promise.allSettled(
      wanted.map((member) => members.one(member, () => member.store.conclude([change]))),
    )
    if (done.some(({ status }) => status === 'fulfilled')) return void holders.delete(change.key)
    // Somewhere: a repeat of the request is not to be worked on again.
    const others = ready.filter((member) => !wanted.includes(member))
    for (const member of others)
      try {
        return await members.one(member, () => member.store.conclude([change]))
      } catch {
        // The next one, then.
      }
    const failed = done.find((one) => one.status === 'rejected')
    throw failed?.reason ?? new Error(members.away() ?? 'no volume is available')
  }
  function holds(key: string, volumes: readonly string[]): void {
    const known = holders.get(key) ?? new Set()
    for (const id of volumes) known.add(id)
    holders.set(key, known)
  }
  return {
    answer,
    holds,
    late: (member, undo) => void undoing.set(member.id, [...(undoing.get(member.id) ?? []), undo]),
    async accepted() {
      const answers = await members.each((member) => member.store.accepted())
      const open = new Map<string, AcceptedRequest>()
      for (const { member, value } of answers)
        for (const request of value) {
          holds(request.key, [member.id])
          open.set(request.key, request)
        }
      for (const key of [...open.keys()]) {
        const known = await answer(key)
        if (!known) continue
        // One volume has the answer, and the power went before the other had.
        await conclude({ do: 'answer', key, answer: known })
        open.delete(key)
      }
      return [...open.values()]
    },
    async conclude(changes) {
      for (const change of changes)
        if (change.do === 'answer') await conclude(change)
        else await members.each((member) => member.store.conclude([change]))
    },
    async reconcile(member) {
      for (const undo of undoing.get(member.id) ?? []) undo()
      undoing.delete(member.id)
      const requests: AcceptedRequest[] = []
      for (const request of await member.store.accepted()) {
        const known = await answer(request.key)
        holds(request.key, [member.id])
        if (known) await conclude({ do: 'answer', key: request.key, answer: known })
        else requests.push(request)
      }
      if (requests.length > 0) resume(requests)
    },
  }
}
