// What goes wrong with a volume is heard by people, within seconds, and others go on.

import t, { type Test } from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { type Board, type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { wire } from './wire.ts'

const { signal } = new AbortController()

async function setting(t: Test) {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 2 })
  const client = await fleet.client('ann')
  const ear = await wire(fleet)
  await fleet.time.advance(1_000)
  const put = (id: string) =>
    putBatch(client, 'home', [memoryItem(fleet.random, fleet, id, 5_000)], { signal })
  await fleet.time.finish(put('before'))
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  return { fleet, board, put, alarms: () => ear.answers('Alarm') }
}

const faults: Record<string, (board: Board, fleet: Fleet) => void> = {
  'whose sync fails': (board) => board.disk.faults.failNext('sync', 'EIO', { times: 1 }),
  'that is read-only': (board) => board.disk.faults.readOnly(true),
  'whose commits fail': (board) => board.disk.faults.failNext('write', 'EIO', { times: 9 }),
}
for (const [what, fault] of Object.entries(faults))
  t.test(`[DISK-9] a disk ${what} is alarmed within 5 s, and the others go on`, async (t) => {
    const { fleet, board, put, alarms } = await setting(t)
    fault(board, fleet)
    const putting = put('after')
    await fleet.time.advance(5_000)
    t.match(alarms(), [
      { from: board.name, alarmCode: 'COMPONENT_FAILURE', alarmText: /takes no more writes: E/ },
    ])
    const [result] = await fleet.time.finish(putting)
    t.equal(result?.outcome, 'stored')
  })

t.test('[DISK-9] while the broker is away it is said again', async (t) => {
  const { fleet, board, alarms } = await setting(t)
  // The lists are written when it is quiet.
  board.disk.faults.failNext('sync', 'EIO', { times: 9 })
  fleet.broker.cut(board.name, 120_000)
  await fleet.time.advance(119_000)
  t.same(alarms(), [])
  await fleet.time.advance(60_000)
  t.match(alarms(), [{ from: board.name, alarmCode: 'COMPONENT_FAILURE' }])
})

t.test('[DISK-10] two live boards under one name both stop writing, and say so', async (t) => {
  const { fleet, board, put, alarms } = await setting(t)
  const twin = fleet.twin(board.name)
  await fleet.time.finish(twin.start())
  await fleet.time.advance(90_000)
  const told = alarms().filter(({ alarmText }) => /another board is there/.test(alarmText))
  t.equal(told.length, 2, 'each of them')
  t.ok(
    told.every(({ from, alarmCode }) => from === board.name && alarmCode === 'COMPONENT_FAILURE'),
  )
  const [result] = await fleet.time.finish(put('after'))
  t.equal(result?.outcome, 'stored', 'by the others')
  for (const one of [board, twin])
    t.equal((await one.index.stored('home', ['after']))[0], undefined, 'and not by them')
})

t.test('[DISK-10] a board that comes again and again is no second one', async (t) => {
  const { fleet, board, alarms } = await setting(t)
  for (let n = 0; n < 8; n++) {
    board.crash()
    await fleet.time.finish(board.start())
    fleet.broker.cut(board.name, 500)
    await fleet.time.advance(7_000)
    fleet.broker.cut(board.name)
    await fleet.time.advance(7_000)
  }
  t.same(alarms(), [])
})
