// R13: anybody can read and check a volume with the usual tools.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import { unescapeName } from '../../src/store/names.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'
import { asyncDisk } from '../support/in-thread.ts'
import { ann, bytes, owner, volume } from './kit.ts'

const noSha256sum = spawnSync('sha256sum', ['--version']).status !== 0
const skip = noSha256sum ? { skip: 'no sha256sum here' } : {}

const long = 'ü'.repeat(120)
const ids = [
  'plain.txt',
  'with space/and  two',
  'line\nbreak',
  'carriage\rreturn',
  'a\ttab',
  '100%',
  '%25',
  '=25',
  'back\\slash',
  '\\leading',
  '-rf',
  '--help',
  '*',
  'q"uote\'s `and` $dollars',
  'emoji 😀',
  'é'.normalize('NFD'),
  'é'.normalize('NFC'),
  'x'.repeat(255),
  '%'.repeat(255),
  `${long}/${long}/${long}:`,
  'dot.',
  'space ',
  ' leading space',
  '.hidden',
  Array.from({ length: 40 }, (_, n) => `d${n}`).join('/'),
  'empty',
]

interface Real {
  readonly root: string
  readonly bag: string
  readonly store: Store
  put(id: string): Promise<void>
}

/** A volume in a real folder. */
async function real(t: Test): Promise<Real> {
  const root = t.testdir()
  const world = simWorld(simClock().clock, simRandom('bag'), 'p1')
  const disk = asyncDisk(nodeDisk(root))
  await adoptVolume(world, disk, { ...owner, volume: 'v1' })
  const index = asyncIndex(openIndex(`${root}/.index.sqlite`))
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  t.teardown(() => store.close().catch(() => undefined))
  return {
    ...{ root, store, bag: `${root}/home` },
    async put(id) {
      const content = id === 'empty' ? bytes('') : bytes(`bytes of ${id}`)
      const offer = { collection: 'home', id, size: content.length, mtime: 1_500_000_000_000 }
      const file = { ...offer, checksum: digestOf(world, content) }
      await store.accept({ key: id, substance: id, request: id }, [file])
      const incoming = await store.incoming('home', id)
      await incoming.write(content)
      await incoming.finish(ann)
      store.release([file])
    },
  }
}

const check = (bag: string) =>
  spawnSync('sha256sum', ['-c', '--strict', 'manifest-sha256.txt'], { cwd: bag, encoding: 'utf8' })

const lines = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n')

test('sha256sum accepts the manifest, whatever the files are called', skip, async (t) => {
  const on = await real(t)
  for (const id of ids) await on.put(id)
  await on.store.flush()
  const { status, stdout, stderr } = check(on.bag)
  t.equal(stderr, '')
  t.equal(status, 0)
  t.equal(stdout.trimEnd().split('\n').length, ids.length)
  t.ok(stdout.split('\n').every((line) => line === '' || line.endsWith(': OK')))

  writeFileSync(`${on.bag}/data/plain.txt`, 'bytes of plain.tx_')
  t.equal(check(on.bag).status, 1)
})

test('the true id, the time and the size of every file can be read without us', async (t) => {
  const on = await real(t)
  for (const id of ids) await on.put(id)
  await on.store.close()
  const listed = lines(`${on.bag}/names.txt`).map((line) => line.split('\t') as [string, string])
  const names = new Map(listed.map(([path, id]) => [path, JSON.parse(id) as string]))
  const paths = lines(`${on.bag}/manifest-sha256.txt`).map((line) => line.slice(66))
  const read = paths.map(
    (path) => names.get(path) ?? path.slice('data/'.length).split('/').map(unescapeName).join('/'),
  )
  t.strictSame(read, ids)
  for (const path of paths) {
    t.ok(existsSync(`${on.bag}/${path}`))
    t.equal(Math.floor(statSync(`${on.bag}/${path}`).mtimeMs), 1_500_000_000_000)
  }
  t.strictSame(
    lines(`${on.bag}/mtimes.txt`),
    paths.map((path) => `2017-07-14T02:40:00.000Z  ${path}`),
  )
  const total = paths.reduce((sum, path) => sum + statSync(`${on.bag}/${path}`).size, 0)
  t.ok(lines(`${on.bag}/bag-info.txt`).includes(`Payload-Oxum: ${total}.${ids.length}`))
  t.strictSame(lines(`${on.bag}/bagit.txt`), [
    'BagIt-Version: 1.0',
    'Tag-File-Character-Encoding: UTF-8',
  ])
})

test('[DISK-5] the manifest goes on where it ended, and not one line twice', skip, async (t) => {
  const on = await real(t)
  await on.store.flush()
  t.equal(existsSync(on.bag), false)
  await on.put('a')
  await on.store.flush()
  const first = readFileSync(`${on.bag}/manifest-sha256.txt`, 'utf8')
  await on.store.flush()
  t.equal(readFileSync(`${on.bag}/manifest-sha256.txt`, 'utf8'), first)
  // A run that ended between its write and its note.
  writeFileSync(
    `${on.bag}/manifest-sha256.txt`,
    `${first}${first}rubbish, and more of it than follows`,
  )
  await on.put('b')
  await on.store.flush()
  t.ok(readFileSync(`${on.bag}/manifest-sha256.txt`, 'utf8').startsWith(first))
  t.equal(lines(`${on.bag}/manifest-sha256.txt`).length, 2)
  t.equal(check(on.bag).status, 0)
})

test('a list that somebody took away or cut is written anew', skip, async (t) => {
  for (const damage of ['away', 'cut']) {
    const on = await real(t)
    await on.put('a')
    await on.put('100%')
    await on.put('x:'.repeat(120))
    await on.store.flush()
    const names = ['manifest-sha256.txt', 'mtimes.txt', 'names.txt']
    const before = names.map((name) => readFileSync(`${on.bag}/${name}`, 'utf8'))
    for (const name of names) {
      if (damage === 'away') rmSync(`${on.bag}/${name}`)
      else writeFileSync(`${on.bag}/${name}`, 'x')
      await on.store.flush()
      t.strictSame(
        names.map((name) => readFileSync(`${on.bag}/${name}`, 'utf8')),
        before,
        `${name} ${damage}`,
      )
    }
    t.equal(check(on.bag).status, 0)
    await on.store.close()
  }
})

test('the bag is brought up to date once it is quiet, and while it never is', async (t) => {
  const on = await volume()
  const manifest = (): number => (on.text('home/manifest-sha256.txt') ?? '').split('\n').length - 1
  await on.put('a', bytes('a'))
  await on.time.advance(10_000)
  t.equal(manifest(), 0)
  await on.time.advance(50_000)
  t.equal(manifest(), 1)
  for (let n = 0; n < 100; n++) {
    await on.put(`f${n}`, bytes(`f${n}`))
    await on.time.advance(6_000)
  }
  t.ok(manifest() > 40)
  await on.time.advance(60_000)
  t.equal(manifest(), 101)
})

test('a start writes what the last end left out of the manifest', async (t) => {
  const on = await volume()
  await on.put('a', bytes('a'))
  const after = await on.again()
  t.equal(after.text('home/manifest-sha256.txt'), undefined)
  await after.time.advance(60_000)
  t.match(after.text('home/manifest-sha256.txt'), /^[0-9a-f]{64} {2}data\/a\n$/)
})

test('a full disk leaves the manifest for later, and nobody is alarmed', async (t) => {
  const on = await volume()
  await on.put('a', bytes('a'))
  on.sim.faults.failNext('write', 'ENOSPC', { path: 'home/manifest-sha256.txt' })
  await t.rejects(on.store.flush(), /ENOSPC/)
  t.equal(on.store.trouble(), undefined)
  await on.store.flush()
  t.match(on.text('home/manifest-sha256.txt'), /data\/a\n$/)
})
