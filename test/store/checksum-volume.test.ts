// The volume of a checksum pillar, with the power cut at each of its commits.

import { test } from 'tap'
import type { Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openChecksumVolume } from '../../src/store/checksum-volume.ts'
import { adoptVolume, WrongVolume } from '../../src/store/identity.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'
import { ann, bytes, owner } from './kit.ts'

const options = { ...owner, reserveBytes: 0, told: false }

async function ground() {
  const time = simClock()
  const sim = simDisk({ capacity: 1_000_000, clock: time.clock })
  const world = simWorld(time.clock, simRandom('checksums'), 'p1')
  await adoptVolume(world, sim.disk, { ...owner, volume: 'v1', kind: 'checksum' })
  const index: Index = { ...asyncIndex(openIndex(':memory:')), close: async () => undefined }
  return { time, sim, world, index }
}

/** What is done; every answer is noted once it is given. */
async function work(world: Parameters<typeof digestOf>[0], store: Store, told: Set<string>) {
  const offer = (id: string, text: string) => ({
    ...{ collection: 'home', id, size: text.length, mtime: 1 },
    checksum: digestOf(world, bytes(text)),
  })
  const put = async (id: string, text: string): Promise<void> => {
    const key = `${id} ${text}`
    await store.accept({ key, substance: key, request: key }, [offer(id, text)])
    const incoming = await store.incoming('home', id)
    await incoming.write(bytes(text).slice(incoming.at()))
    if ((await incoming.finish(ann)) === 'stored') told.add(`${id}=${text}`)
  }
  await put('a', 'one')
  await put('b', 'two')
  const [file] = await store.stored('home', ['a'])
  const [version = 0] = await store.versions('home', ['a'])
  const doomed = { collection: 'home', id: 'a', checksum: file?.checksum ?? '', version }
  if ((await store.remove(doomed, ann)) === 'removed') told.add('a gone')
}

test('[KIND-1] what was answered is there, with its audit entry, wherever the power is cut', async (t) => {
  let cuts = 0
  for (const when of ['before', 'after'] as const) {
    for (let cut = 1; ; cut++) {
      const { sim, world, index } = await ground()
      let left = cut
      const dying: Index = {
        ...index,
        async commit(changes) {
          if (--left > 0) return index.commit(changes)
          if (left === 0 && when === 'after') await index.commit(changes)
          throw new Error('the power is cut')
        },
      }
      const told = new Set<string>()
      const store = await openChecksumVolume(world, sim.disk, dying, options)
      const died = await work(world, store, told).then(
        () => false,
        () => true,
      )
      sim.crash((among) => among - 1)
      const after = await openChecksumVolume(world, sim.disk, index, options)
      const rows = await after.stored('home', ['a', 'b'])
      const stones = (await after.tombstones({ collection: 'home', limit: 9 })).tombstones
      const entries = (await index.audit(0, 99)).map(({ event, id }) => `${event} ${id}`)
      for (const [n, id] of ['a', 'b'].entries()) {
        const known = rows[n] !== undefined || stones.some((one) => one.id === id)
        t.equal(
          entries.includes(`ingestion ${id}`),
          known,
          `${when} ${cut}: row and entry of ${id}`,
        )
      }
      t.equal(entries.includes('deletion a'), stones.length === 1, `${when} ${cut}: the deletion`)
      if (told.has('a=one')) t.ok(rows[0] ?? stones[0], `${when} ${cut}: a was promised`)
      if (told.has('b=two')) t.ok(rows[1], `${when} ${cut}: b was promised`)
      if (told.has('a gone')) t.notOk(rows[0], `${when} ${cut}: its end was promised`)
      // And goes on to the same end.
      await work(world, after, new Set()).catch(() => undefined)
      t.equal((await after.stored('home', ['b']))[0]?.size, 3)
      cuts++
      if (!died) break
    }
  }
  t.ok(cuts > 8, `${cuts} cuts`)
})

test('[KIND-1] what was hashed is not asked for again after a cut of the link', async (t) => {
  const { sim, world, index } = await ground()
  const store = await openChecksumVolume(world, sim.disk, index, options)
  const text = 'some bytes'
  const file = { collection: 'home', id: 'a', size: text.length, mtime: 1 }
  const checksum = digestOf(world, bytes(text))
  await store.accept({ key: 'k', substance: 'k', request: 'k' }, [{ ...file, checksum }])
  await (await store.incoming('home', 'a')).write(bytes('some '))
  const again = await store.incoming('home', 'a')
  t.equal(again.at(), 5)
  await t.rejects(again.finish(ann), RangeError)
  await t.rejects(again.write(bytes('much too long')), RangeError)
  await again.write(bytes('bytes'))
  t.equal(await again.finish(ann), 'stored')
  t.equal((await store.incoming('home', 'a')).at(), text.length)
})

test('[KIND-1] a volume of files is not taken for one of checksums, nor the other way round', async (t) => {
  const { sim, world, index } = await ground()
  await t.rejects(openVolume(world, sim.disk, index, options), WrongVolume)
  const files = simDisk({ capacity: 1_000_000, clock: simClock().clock })
  await adoptVolume(world, files.disk, { ...owner, volume: 'v2' })
  await t.rejects(openChecksumVolume(world, files.disk, index, options), {
    message: /adopted by a file pillar.*kind = "checksum"/,
  })
})

test('[KIND-1] a file larger than the disk has its checksum kept', async (t) => {
  const { sim, world, index } = await ground()
  const store = await openChecksumVolume(world, sim.disk, index, options)
  const file = { collection: 'home', id: 'a', size: 10 ** 12, mtime: 1, checksum: 'a'.repeat(64) }
  t.match(await store.accept({ key: 'k', substance: 'k', request: 'k' }, [file]), [
    { is: 'welcome' },
  ])
  t.equal((await store.space()).bytesReserved, 8192)
})
