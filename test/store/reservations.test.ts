import fc from 'fast-check'
import { test } from 'tap'
import { reservations, reserveOf } from '../../src/store/reservations.ts'

const file = (id: string, size: number, safe = 0) => ({
  ...{ collection: 'home', id, size, safe, checksum: '', mtime: 0, path: id, since: 0 },
})
const free = (bytesFree: number) => ({ bytesFree, bytesTotal: 1_000_000, inodesFree: 1_000_000 })

test('what was promised and has not come yet is not promised again', async (t) => {
  const reserved = reservations(1_000)
  t.equal(reserved.space(free(100_000)).bytesOpen, 99_000)
  reserved.add(file('a', 10_000, 4_000))
  t.equal(reserved.space(free(100_000)).bytesReserved, reservations(0).needed(10_000) - 4_000)
  reserved.landed(file('a', 10_000), 9_000)
  t.equal(reserved.space(free(100_000)).bytesReserved, reservations(0).needed(10_000) - 9_000)
  t.equal(reserved.has({ collection: 'home', id: 'a' }), true)
  t.equal(reserved.has({ collection: 'work', id: 'a' }), false)
  reserved.end({ collection: 'home', id: 'a' })
  reserved.landed(file('a', 10_000), 10_000)
  t.equal(reserved.space(free(100_000)).bytesReserved, 0)
  t.equal(reserved.has({ collection: 'home', id: 'a' }), false)
})

test('space is never less than nothing, nor more than what is free', async () => {
  const promise = fc.tuple(fc.nat(50_000), fc.nat(50_000))
  fc.assert(
    fc.property(fc.array(promise), fc.nat(500_000), fc.nat(10_000), (promises, bytes, reserve) => {
      const reserved = reservations(reserve)
      for (const [n, [size, landed]] of promises.entries()) {
        reserved.add(file(`f${n}`, size))
        reserved.landed(file(`f${n}`, size), Math.min(size, landed))
      }
      const { bytesOpen, bytesReserved } = reserved.space(free(bytes))
      const owed = promises.reduce(
        (sum, [size, landed]) => sum + reservations(0).needed(size) - Math.min(size, landed),
        0,
      )
      return bytesReserved === owed && bytesOpen === Math.max(0, bytes - owed - reserve)
    }),
  )
})

test('a twentieth stays free, at least 1 GiB, and of a small disk no more than a tenth', async (t) => {
  const GiB = 2 ** 30
  t.equal(reserveOf(4_000 * GiB), 200 * GiB)
  t.equal(reserveOf(16 * GiB), GiB)
  t.equal(reserveOf(GiB), Math.floor(GiB / 10))
  const { bytesOpen } = reservations(undefined).space({ ...free(GiB), bytesTotal: GiB })
  t.equal(bytesOpen, GiB - Math.floor(GiB / 10))
})

test('where no file can be made there is no room, and folders count', async (t) => {
  const reserved = reservations(0)
  const few = (inodesFree: number) => reserved.space({ ...free(100_000), inodesFree })
  t.equal(few(64).bytesOpen, 0)
  t.equal(few(70).filesOpen, 6)
  reserved.add(file('a/b/c', 1))
  t.equal(few(70).filesOpen, 3)
})
