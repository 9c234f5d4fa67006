// A file that comes in pieces, over a disk whose power is cut at every call that changes something.

import t from 'tap'
import { openMosaic } from '../../src/client/fragments/mosaic.ts'
import { type Unit, unitOf } from '../../src/client/fragments/unit.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { digestOf } from '../../src/world/world.ts'

const pieceBytes = 5_000
const final = 'folder/film'
const clock = simClock()
const world = simWorld(clock.clock, simRandom('mosaic'), 'ann')
const whole = simRandom('bytes').bytes(7 * pieceBytes + 123)
const checksum = digestOf(world, whole)

/** Brings all that is missing, in an order of its own; how many bytes were there already. */
async function bring(
  disk: ReturnType<typeof simDisk>['disk'],
  order: (places: number[]) => number[],
  range = { offset: 0, length: whole.length },
): Promise<{ had: number; fault: string | undefined }> {
  await disk.mkdir('folder')
  const isWhole = range.length === whole.length
  const place = { partial: 'folder/part', final, ...range, ...(isWhole ? { checksum } : {}) }
  const mosaic = await openMosaic(world, disk, place)
  const units: Unit[] = []
  for (let at = 0; at < whole.length; at += pieceBytes) {
    if (at >= range.offset + range.length || at + pieceBytes <= range.offset) continue
    const bytes = whole.slice(at, at + pieceBytes)
    const wanted = (from: number, to: number): number =>
      Math.max(0, Math.min(to, range.offset + range.length) - Math.max(from, range.offset))
    const [hash, size] = [digestOf(world, bytes), bytes.length]
    const about = { world, key: hash, hash, size, kind: 'slice' as const, holders: [] }
    const places = [{ file: 0, at, mosaic, wanted }]
    units.push(unitOf({ ...about, places, moved: () => undefined, done: () => undefined }))
  }
  let had = 0
  for (const n of order([...units.keys()])) {
    const unit = units[n]
    const at = unit?.places[0]?.at ?? 0
    if (!unit) continue
    const have = await unit.begin()
    had += have
    if (have === unit.size) continue
    const landing = unit.landing('one', () => t.fail('other bytes were taken up'))
    while (landing.at() < unit.size) {
      const from = at + landing.at()
      await landing.write(whole.slice(from, Math.min(from + 2_000, at + unit.size)))
      // A second passes: what came is noted.
      await clock.advance(600)
      await landing.secure()
    }
    const fault = await landing.finish(unit.size)
    if (fault !== undefined) return { had, fault }
    await landing.close()
  }
  return { had, fault: await mosaic.finish() }
}

const backwards = (places: number[]): number[] => places.reverse()

t.test('[GETF-6] whatever the power leaves, the next run ends with the right file', async (t) => {
  const measured = simDisk({ capacity: 1 << 20 })
  await bring(measured.disk, backwards)
  const calls = measured.calls()
  t.ok(calls > 30, `${calls} calls`)
  let most = 0
  for (let call = 1; call <= calls; call++)
    for (const seed of ['a', 'b', 'c']) {
      const sim = simDisk({ capacity: 1 << 20 })
      sim.onCall((one) => {
        if (one.call === call) sim.cut()
      })
      await Promise.race([bring(sim.disk, backwards), sim.whenCut()])
      sim.onCall(undefined)
      sim.crash(simRandom(`${seed} ${call}`))
      const found = sim.snapshot().get(final)
      if (found) {
        t.ok(Buffer.from(found).equals(whole), `what has its name is whole, cut at ${call}`)
        continue
      }
      const { had, fault } = await bring(sim.disk, (places) => places)
      most = Math.max(most, had)
      const right = Buffer.from(sim.snapshot().get(final) ?? []).equals(whole)
      if (fault !== undefined || !right) t.fail(`cut at call ${call}: ${fault}`)
      const beside = [...sim.snapshot().keys()].filter((path) => path.startsWith('folder/'))
      t.same(beside, ['folder/', final])
    }
  t.ok(most > 6 * pieceBytes, `up to ${most} bytes need not come again`)
})

t.test('[GETF-2] of a range only its bytes are kept, and it goes on, too', async (t) => {
  const range = { offset: pieceBytes - 10, length: pieceBytes + 20 }
  const wanted = Buffer.from(whole.subarray(range.offset, range.offset + range.length))
  for (let call = 1; call <= 20; call++) {
    const sim = simDisk({ capacity: 1 << 20 })
    sim.onCall((one) => {
      if (one.call === call) sim.cut()
    })
    await Promise.race([bring(sim.disk, backwards, range), sim.whenCut()])
    sim.onCall(undefined)
    sim.crash(simRandom(`range ${call}`))
    const { fault } = await bring(sim.disk, backwards, range)
    t.equal(fault, undefined)
    t.ok(Buffer.from(sim.snapshot().get(final) ?? []).equals(wanted), `cut at ${call}`)
  }
})

t.test('[GETF-6] notes that are none are not believed', async (t) => {
  for (const text of ['0 99999999\n', 'what\n0 5000\n', '0 5000\n0 4', '5000 5000\n', '\0\0\0\0']) {
    const sim = simDisk({ capacity: 1 << 20 })
    await sim.disk.mkdir('folder')
    await sim.disk.write('folder/part', 0, whole.slice(0, 2 * pieceBytes))
    await sim.disk.write('folder/part.notes', 0, new TextEncoder().encode(text))
    await bring(sim.disk, (places) => places)
    t.ok(Buffer.from(sim.snapshot().get(final) ?? []).equals(whole), JSON.stringify(text))
  }
})
