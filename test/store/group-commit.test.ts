import { test } from 'tap'
import type { Change, Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { folderMaker, groupCommit, type Ready } from '../../src/store/group-commit.ts'
import { health } from '../../src/store/health.ts'
import { bytes } from './kit.ts'

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const fact = (key: string): Change => ({ do: 'fact', key, value: key })

function parts() {
  const sim = simDisk({ capacity: 1_000_000 })
  const calls: string[] = []
  sim.onCall(({ method, path }) => calls.push(`${method} ${path}`))
  const real = asyncIndex(openIndex(':memory:'))
  const commit: Index['commit'] = (changes) =>
    sim.during('commit', `${changes.length}`, () => real.commit(changes)).then(() => undefined)
  const state = health(log, 'v1')
  const index: Index = { ...real, commit }
  const ready = async (name: string): Promise<Ready> => {
    await sim.disk.write(name, 0, bytes(name))
    const place = { final: `to/${name}`, moving: fact('moving'), changes: () => [fact(name)] }
    return { partial: name, mtime: 0, places: [place] }
  }
  return { sim, calls, state, index, ready, group: groupCommit(sim.disk, index, state) }
}

test('files that are ready together share the sync of the folder and the commit', async (t) => {
  const { calls, ready, group } = parts()
  const all = await Promise.all(['a', 'b', 'c'].map(ready))
  calls.length = 0
  await Promise.all([group.commit([fact('first')]), ...all.map(group.store)])
  t.strictSame(calls, [
    'commit 1',
    ...['a', 'b', 'c'].flatMap((name) => [`touch ${name}`, `sync ${name}`]),
    ...['mkdir to', 'syncDir ', 'rename a', 'rename b', 'rename c'],
    ...['syncDir to', 'commit 3'],
  ])
})

test('however many wait, each is answered, and none before its commit', async (t) => {
  const { ready, group, index } = parts()
  const names = Array.from({ length: 200 }, (_, n) => `f${n}`)
  const all = await Promise.all(names.map(ready))
  const found = await Promise.all(
    all.map((one) => group.store(one).then(() => index.fact(one.partial))),
  )
  t.strictSame(found, names)
  await group.idle()
})

test('once the volume has failed everybody is refused, and nobody hangs', async (t) => {
  const { sim, calls, ready, group, state, index } = parts()
  const all = await Promise.all(['a', 'b', 'c', 'd'].map(ready))
  sim.faults.failNext('syncDir', 'EIO', { path: 'to' })
  const ends = await Promise.allSettled(all.map(group.store))
  t.ok(ends.every(({ status }) => status === 'rejected'))
  t.match(state.trouble(), /EIO/)
  const before = calls.length
  for (const one of all) await t.rejects(group.store(one), /takes no writes/)
  await t.rejects(group.commit([fact('x')]), /takes no writes/)
  await group.idle()
  t.equal(calls.length, before)
  t.equal(await index.fact('a'), undefined)
})

test('a sync that fails fails all that wait, since nobody knows what it lost', async (t) => {
  const { sim, ready, group, index } = parts()
  const all = await Promise.all(['a', 'b', 'c'].map(ready))
  sim.faults.failNext('sync', 'EIO', { path: 'b' })
  const first = group.commit([fact('first')])
  const ends = await Promise.allSettled(all.map(group.store))
  await first
  t.ok(ends.every(({ status }) => status === 'rejected'))
  for (const name of ['a', 'b', 'c']) t.equal(await index.fact(name), undefined)
})

test('work that is alone sees all that was asked for before, and nothing that comes after', async (t) => {
  const { ready, group, index } = parts()
  const [a, b] = [await ready('a'), await ready('b')]
  const seen: unknown[] = []
  await Promise.all([
    group.store(a),
    group.alone(async () => {
      for (const name of ['a', 'b', 'a', 'b']) seen.push(await index.fact(name))
    }),
    group.store(b),
    t.rejects(
      group.alone(() => Promise.reject(new Error('its own'))),
      /its own/,
    ),
  ])
  t.strictSame(seen, ['a', undefined, 'a', undefined])
  t.equal(await index.fact('b'), 'b')
})

test('a folder is made once, its name synced in each folder above, also when it was there', async (t) => {
  const { sim, calls } = parts()
  await sim.disk.mkdir('a')
  calls.length = 0
  const folders = folderMaker(sim.disk)
  t.equal(await folders.ensure('a/b/c'), 'a/b/c')
  const made = ['mkdir a', 'syncDir ', 'mkdir a/b', 'syncDir a', 'mkdir a/b/c', 'syncDir a/b']
  t.strictSame(calls.splice(0), made)
  await folders.ensure('a/b/c')
  await folders.ensure('a/b')
  t.strictSame(calls, [])
  folders.forget('a/b/c')
  await folders.ensure('a/b/c')
  t.strictSame(calls.splice(0), made.slice(4))
  folders.forgetAll()
  await folders.ensure('a/b/c')
  t.strictSame(calls, made)
})

test('a folder that somebody removed is made again', async (t) => {
  const { sim, ready, group } = parts()
  await group.store(await ready('a'))
  await sim.disk.remove('to/a')
  await sim.disk.rmdir('to')
  await group.store(await ready('b'))
  t.ok(await sim.disk.stat('to/b'))
})
