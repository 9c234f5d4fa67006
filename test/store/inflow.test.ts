// Bytes on their way into a file and out of it, by memory that all transfers of a disk share.

import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { inflow } from '../../src/store/inflow.ts'
import { pagesOf } from '../../src/store/pages.ts'
import { slices } from '../../src/store/slices.ts'
import { hashingInThread } from '../../src/world/hashing.ts'

const MiB = 1024 * 1024
const all = Uint8Array.from({ length: 3 * MiB + 12_345 }, (_, n) => Math.imul(n, 0x9e3779b1) >>> 24)
const digest = (bytes: Uint8Array): string => hashing.start('sha256').update(bytes).hex()
const hashing = hashingInThread()
const disk = () => simDisk({ capacity: 100_000_000, clock: simClock().clock }).disk

t.test('bytes arrive whole, from wherever they go on, in pieces of any size', async (t) => {
  for (const from of [0, 1, 4095, 4096, 1_000_001])
    for (const step of [1_000_000, 16_384, 333_333]) {
      const on = disk()
      await on.write('a', 0, all.slice(0, from))
      const hasher = hashing.start('sha256').update(all.subarray(0, from))
      const offsets: number[] = []
      const write: typeof on.write = (path, offset, bytes) => {
        offsets.push(offset)
        return on.write(path, offset, bytes)
      }
      const flow = inflow({ disk: { ...on, write }, path: 'a', hasher, from, size: all.length })
      const one = new Uint8Array(step)
      for (let at = from; at < all.length; at += step) {
        const part = all.subarray(at, at + step)
        one.set(part)
        await flow.add(one.subarray(0, part.length))
        one.fill(0xdb)
      }
      await flow.flush()
      t.equal(flow.at(), all.length)
      t.ok(Buffer.from(await on.read('a', 0, all.length)).equals(all), `from ${from} by ${step}`)
      t.equal(hasher.hex(), digest(all))
      t.ok(
        offsets.slice(1).every((offset) => offset % 4096 === 0),
        'only the first write begins within a block',
      )
    }
})

t.test(
  'one write is under way at a time, and what broke one is told by the next step',
  async (t) => {
    const on = disk()
    let under = 0
    let writes = 0
    const write: typeof on.write = async (path, offset, bytes) => {
      t.equal(++under, 1)
      await new Promise((resolve) => setImmediate(resolve))
      under--
      if (++writes === 2) throw new Error('the disk broke')
      await on.write(path, offset, bytes)
    }
    const broken = { ...on, write }
    const flow = inflow({ disk: broken, path: 'a', hasher: hashing.start('sha256'), from: 0 })
    await t.rejects(
      (async () => {
        for (let at = 0; at < all.length; at += 65_536)
          await flow.add(all.subarray(at, at + 65_536))
        await flow.flush()
      })(),
      /the disk broke/,
    )
    await flow.leave()
    // All pages are back: as many can be had as there are, and the next is a small one.
    const pages = await Promise.all(Array.from({ length: 9 }, () => pagesOf(broken).take()))
    t.same(
      pages.map(({ bytes }) => bytes.length),
      [...Array.from({ length: 8 }, () => MiB), 128 * 1024],
    )
  },
)

t.test('[DISK-11] who comes when all pages are out waits for nobody', async (t) => {
  const on = disk()
  const flows = Array.from({ length: 12 }, (_, n) =>
    inflow({ disk: on, path: `${n}`, hasher: hashing.start('sha256'), from: 0 }),
  )
  for (const flow of flows) await flow.add(all.subarray(0, 500_000))
  for (const flow of flows) await flow.add(all.subarray(500_000))
  for (const [n, flow] of flows.entries()) {
    await flow.flush()
    t.ok(Buffer.from(await on.read(`${n}`, 0, all.length)).equals(all), `${n}`)
  }
})

t.test('a file is read in order, ahead by one piece, into memory that is given back', async (t) => {
  const on = disk()
  await on.write('a', 0, all.slice())
  for (const [from, to] of [
    [0, all.length],
    [4096, 5000],
    [1_234_567, 2_345_678],
    [all.length, all.length + 10],
    [5, 5],
  ] as const) {
    const parts: Buffer[] = []
    for await (const bytes of slices(on, { path: 'a', from, to })) {
      // Time for what is read ahead to arrive.
      await new Promise((resolve) => setImmediate(resolve))
      parts.push(Buffer.from(bytes))
    }
    t.ok(Buffer.concat(parts).equals(all.subarray(from, to)), `${from} to ${to}`)
  }
  for (let turn = 0; turn < 20; turn++)
    for await (const _ of slices(on, { path: 'a', from: 0, to: all.length })) break
  const { bytes } = await pagesOf(on).take()
  t.equal(bytes.length, MiB, 'who leaves early leaves nothing behind')
  await t.rejects(async () => {
    for await (const _ of slices(on, { path: 'absent', from: 0, to: 10 })) t.fail('nothing to read')
  }, /ENOENT/)
})
