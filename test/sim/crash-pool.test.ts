// R1: what a pillar with two disks has promised holds wherever the power is cut.

import { test } from 'tap'
import type { SimDisk } from '../../src/sim/disk.ts'
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

/** What a cut has shown. */
interface Ended {
  /** False when the work ended before. */
  readonly cut: boolean
  /** One way for each pair of disks that the ways could leave. */
  readonly ways: readonly string[]
}

const both = (sims: readonly SimDisk[], how: string): string =>
  sims.map((sim) => sim.foresee(chooserOf(how))).join('\0')

/** Cuts the power of both disks at their call of this number. */
async function cutAt(call: number, how: string, found: string[]): Promise<Ended> {
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
  const ends = new Map(hows.map((one) => [both(sims, one), one]))
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
  return { cut: isCut, ways: [...ends.values()] }
}

const last = 'kept'
const hows = [
  'lost',
  'hollow',
  'torn',
  'scattered',
  'reordered',
  'nameless',
  'seed 1',
  'seed 2',
  last,
]

test('[VOL-2] two disks lose their power at any call, and forget in any way', async (t) => {
  const found: string[] = []
  let [call, states] = [1, 0]
  for (let isCut = true; isCut; call++) {
    const first = await cutAt(call, last, found)
    const others = first.ways.filter((how) => how !== last)
    for (const how of others) await cutAt(call, how, found)
    states += 1 + others.length
    isCut = first.cut
  }
  t.comment(`${states} crash states of two volumes`)
  t.ok(states > 100)
  t.same(found.slice(0, 5), [])
})
