// R1: what a pillar with two disks has promised holds wherever the power is cut.

import { test } from 'tap'
import { ann, bytes } from '../store/kit.ts'
import { type Rig, rig } from '../store/pool-kit.ts'
import { chooserOf } from '../store/power.ts'

const key = 'k'
const ids = ['a', 'b', 'c', 'd']
const textOf = (id: string): string => id.repeat(5_000)

interface Promised {
  accepted: boolean
  answered: boolean
  readonly stored: Set<string>
}

/** One request with files for both disks; goes on with what is there. */
async function work(on: Rig, promised: Promised): Promise<void> {
  if (await on.store.answer(key)) return
  const files = ids.map((id) => on.offer(id, bytes(textOf(id))))
  const standings = await on.store.accept({ key, substance: key, request: key }, files)
  promised.accepted = true
  await Promise.all(
    ids.map(async (id, n) => {
      if (standings[n]?.is === 'held') return
      const incoming = await on.store.incoming('home', id)
      await incoming.write(bytes(textOf(id)).slice(incoming.at()))
      await incoming.finish(ann)
      promised.stored.add(id)
    }),
  )
  on.store.release(files)
  const answer = { substance: key, answer: 'done', keepUntil: 2e12 }
  await on.store.conclude([{ do: 'answer', key, answer }])
  promised.answered = true
}

/** What is not as it was promised. */
async function broken(on: Rig, promised: Promised): Promise<string[]> {
  const found: string[] = []
  for (const id of promised.stored)
    if ((await on.read(id)) !== textOf(id)) found.push(`${id} was stored and is not`)
  for (const id of ids) if ((await on.where(id)).length > 1) found.push(`${id} stands twice`)
  const open = (await on.store.accepted()).some((request) => request.key === key)
  const answer = await on.store.answer(key)
  if (promised.accepted && !open && !answer) found.push('the request is forgotten')
  if (promised.answered && (open || !answer)) found.push('the answer is forgotten')
  return found
}

/** Cuts the power of both disks at their call of this number; false when the work ended before. */
async function cutAt(call: number, how: string, found: string[]): Promise<boolean> {
  const on = await rig(2)
  const promised: Promised = { accepted: false, answered: false, stored: new Set() }
  const sims = on.sticks.map(({ sim }) => sim)
  let calls = 0
  let isCut = false
  for (const sim of sims)
    sim.onCall(() => {
      if (++calls !== call) return
      isCut = true
      for (const one of sims) one.cut()
    })
  await Promise.race([work(on, promised), sims[0]?.whenCut()])
  for (const sim of sims) {
    sim.onCall(undefined)
    if (isCut) sim.crash(chooserOf(how))
  }
  const again = await on.again()
  const wrong = await broken(again, promised)
  await work(again, promised)
  for (const id of ids)
    if ((await again.where(id)).length !== 1) wrong.push(`${id} could not be finished`)
  if ((await again.store.accepted()).length > 0) wrong.push('the request is still open')
  found.push(...wrong.map((one) => `${how} at ${call}: ${one}`))
  return isCut
}

for (const how of ['lost', 'kept'])
  test(`[VOL-2] two disks lose their power at any call, and what was not synced is ${how}`, async (t) => {
    const found: string[] = []
    let call = 1
    while (await cutAt(call, how, found)) call++
    t.comment(`${call} crash states of two volumes`)
    t.ok(call > 30)
    t.same(found.slice(0, 5), [])
  })
