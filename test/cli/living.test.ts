// Stories of a folder that lives, told by the real put and get on a simulated archive and a real folder.

import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { type GetOptions, get } from '../../src/cli/get.ts'
import { type ExitCode, type Output, output } from '../../src/cli/output.ts'
import { checkPut, type Desk, type PutOptions, put as putPaths } from '../../src/cli/put.ts'
import { Stopped } from '../../src/client/line.ts'
import { survey } from '../../src/client/list.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { type Disk, DiskError } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node.ts'
import type { Change } from '../../src/index/index.ts'
import { limits } from '../../src/limits.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { digestOf } from '../../src/world/world.ts'
import { finish } from '../support/beside-disk.ts'
import { asyncDisk } from '../support/in-thread.ts'

interface Did {
  readonly code: ExitCode
  /** One object a file, as --json tells it. */
  readonly objects: Record<string, unknown>[]
  /** What went to standard error, and what was told. */
  readonly said: string
  readonly read: string[]
}

interface Story {
  readonly fleet: Fleet
  readonly folder: string
  run(command: (desk: Desk) => Promise<{ code: ExitCode }>, meddle?: Meddling): Promise<Did>
  write(name: string, text: string, mtime?: number): string
  put(options?: PutOptions, meddle?: Meddling): Promise<Did>
  get(names: readonly string[], options: Partial<GetOptions>, meddle?: Meddling): Promise<Did>
  /** What every pillar has: ids and bytes, and how many copies. */
  kept(): Promise<Record<string, string>>
}

/** Comes between the command and the disk. */
interface Meddling {
  readonly signal?: AbortSignal
  read?(path: string, offset: number): void
  write?(path: string): void
}

const day = 1_700_000_000
const emptySum = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

async function story(t: Test, options: Partial<FleetOptions> = {}): Promise<Story> {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 2, ...options })
  const folder = t.testdir({})
  const real = asyncDisk(nodeDisk('/'))
  t.teardown(() => real.close())
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const run = async (
    command: (desk: Desk) => Promise<{ code: ExitCode }>,
    meddle: Meddling = {},
  ): Promise<Did> => {
    const read: string[] = []
    const disk = meddled(real, folder, read, meddle)
    const { out, objects, said } = listening()
    const signal = meddle.signal ?? new AbortController().signal
    const { code } = await finish(fleet, command({ client, disk, out, signal }))
    return { code, objects, said: said(), read }
  }
  return {
    fleet,
    folder,
    run,
    write(name, text, mtime = day) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
      utimesSync(path, mtime, mtime)
      return path
    },
    put: (options = {}, meddle) =>
      run((desk) => putPaths(desk, fleet.collection, [folder], options), meddle),
    get: (names, options, meddle) =>
      run((desk) => get(desk, fleet.collection, names, { output: './', ...options }), meddle),
    async kept() {
      const { signal } = new AbortController()
      const { files } = await fleet.time.finish(survey(client, fleet.collection, {}, signal))
      const rows = [...files.values()].map(({ id, size, pillars, differing }) => [
        id,
        `${size} bytes on ${pillars.length}${differing.length > 0 ? `, not on ${differing.length}` : ''}`,
      ])
      return Object.fromEntries(rows.sort())
    },
  }
}

function meddled(real: Disk, folder: string, read: string[], meddle: Meddling): Disk {
  const local = (path: string): string => relative(folder, `/${path}`)
  const looked = (path: string, offset: number): void => {
    if (offset === 0) read.push(local(path))
    meddle.read?.(local(path), offset)
  }
  return {
    ...real,
    async read(path, offset, length) {
      looked(path, offset)
      return real.read(path, offset, length)
    },
    async readInto(path, offset, into) {
      looked(path, offset)
      return real.readInto(path, offset, into)
    },
    async write(path, offset, bytes) {
      meddle.write?.(local(path))
      return real.write(path, offset, bytes)
    },
  }
}

function listening(): { out: Output; objects: Record<string, unknown>[]; said(): string } {
  const objects: Record<string, unknown>[] = []
  const lines: string[] = []
  const hear = (text: string): void => void lines.push(text)
  const out: Output = {
    ...output({ quiet: true }),
    json: false,
    line: hear,
    tell: hear,
    note: hear,
    warn: hear,
    object: (value) => void objects.push(value as Record<string, unknown>),
    complain(error) {
      hear(`error: ${error instanceof Error ? error.message : error}`)
      return 1
    },
  }
  return { out, objects, said: () => lines.join('\n') }
}

const outcomes = ({ objects }: Did): Record<string, unknown> =>
  Object.fromEntries(
    objects.filter((one) => 'outcome' in one).map((one) => [one.id ?? one.path, one.outcome]),
  )

t.test('the second put reads and sends nothing', async (t) => {
  const { write, put, kept } = await story(t)
  for (let n = 0; n < 150; n++) write(`album/${n}.jpg`, `picture ${n}`)
  const first = await put()
  t.equal(first.code, 0, first.said)
  t.match(first.said, '150 files stored (1.5 KiB), 0 known')
  const second = await put()
  t.equal(second.code, 0)
  t.match(second.said, '0 files stored (0 B), 150 known')
  t.same(second.read, [])
  t.equal((await kept())['album/7.jpg'], '9 bytes on 3')
})

t.test('a large folder is known by what is listed, none of it read', async (t) => {
  const { fleet, folder, put } = await story(t)
  const count = 2_500
  const changes = Array.from({ length: count }, (_, n): Change => {
    const id = `album ${n % 10}/${n}.jpg`
    mkdirSync(dirname(join(folder, id)), { recursive: true })
    writeFileSync(join(folder, id), '')
    utimesSync(join(folder, id), day, day)
    const now = fleet.time.clock.now()
    const bytes = { size: 0, checksum: emptySum, mtime: day * 1000 }
    return {
      do: 'store',
      now,
      file: { collection: fleet.collection, id, path: id, provenAt: now, ...bytes },
    }
  })
  for (const board of fleet.boards) await board.index.commit(changes)
  const did = await put()
  t.equal(did.code, 0, did.said)
  t.match(did.said, '0 files stored (0 B), 2500 known')
  t.same(did.read, [])
})

t.test('size and time say that a file is known; --checksum looks inside', async (t) => {
  const { write, put } = await story(t)
  const path = write('letter', 'Dear Ann', day)
  await put()
  writeFileSync(path, 'Dear Bob')
  utimesSync(path, day, day)
  t.same(outcomes(await put()), { letter: 'known' })
  const looked = await put({ checksum: true })
  t.equal(looked.code, 3)
  t.same(outcomes(looked), { [path]: 'differs' })
})

t.test('a file that was only touched is read once more, and is known', async (t) => {
  const { write, put, kept } = await story(t)
  const path = write('letter', 'Dear Ann')
  await put()
  utimesSync(path, day + 9, day + 9)
  const again = await put()
  t.same([again.code, outcomes(again), again.read], [0, { letter: 'known' }, ['letter']])
  t.same(await kept(), { letter: '8 bytes on 3' })
})

t.test('the last nanosecond of a millisecond is none of the next', async (t) => {
  const { write, put } = await story(t)
  const path = write('late', 'late')
  spawnSync('touch', ['-d', '2023-11-14T22:13:20.123999999Z', path])
  t.equal(statSync(path, { bigint: true }).mtimeNs % 1_000_000n, 999_999n)
  const first = await put()
  t.same([first.code, outcomes(first)], [0, { late: 'stored' }], first.said)
  t.same((await put()).read, [])
})

t.test('a changed file is refused and named; the rest is stored', async (t) => {
  const { write, put, kept } = await story(t)
  const diary = write('diary', 'Monday')
  const poem = write('poem', 'Roses')
  await put()
  write('diary', 'Monday. Tuesday', day + 5)
  write('poem', 'Tulip', day + 5)
  write('new', 'new')
  const second = await put()
  t.equal(second.code, 3)
  t.same(outcomes(second), { [diary]: 'differs', [poem]: 'differs', new: 'stored' })
  t.match(
    second.said,
    `${diary}: it differs from what the archive has under diary; --changed keep-both`,
  )
  t.match(second.said, '1 file stored (3 B), 0 known, 2 passed over')
  t.notOk(second.read.includes('diary'), 'its size alone says that it is another')
  t.same(await kept(), { diary: '6 bytes on 3', new: '3 bytes on 3', poem: '5 bytes on 3' })
})

t.test('--changed keep-both stores it beside, and knows it the next time', async (t) => {
  const { write, put, kept } = await story(t)
  write('diary.txt', 'Monday')
  await put()
  write('diary.txt', 'Monday. Tuesday', Date.UTC(2026, 10, 22, 10, 11, 12) / 1000)
  const beside = 'diary (2026-11-22 101112).txt'
  const second = await put({ changed: 'keep-both' })
  t.same([second.code, outcomes(second)], [0, { [beside]: 'stored' }])
  const third = await put({ changed: 'keep-both' })
  t.same([third.code, outcomes(third), third.read], [0, { [beside]: 'known' }, []])
  t.same(await kept(), { [beside]: '15 bytes on 3', 'diary.txt': '6 bytes on 3' })
  const other = write('diary.txt', 'Monday. Someday', Date.UTC(2026, 10, 22, 10, 11, 12.5) / 1000)
  utimesSync(other, 1_795_342_272.5, 1_795_342_272.5)
  const fourth = await put({ changed: 'keep-both' })
  t.same([fourth.code, outcomes(fourth)], [3, { [other]: 'differs' }], 'that name is taken, too')
  t.match(fourth.said, `under diary.txt and ${beside.slice(0, 5)}`)
})

t.test(
  '--changed replace puts it in the place of the old one, on every pillar or on none',
  async (t) => {
    const { fleet, write, put, kept } = await story(t)
    write('diary', 'Monday')
    write('poem', 'Roses')
    await put()
    const diary = write('diary', 'Monday. Tuesday', day + 5)
    fleet.boards[2]?.crash()
    const alone = await put({ changed: 'replace' })
    t.same([alone.code, outcomes(alone)], [3, { [diary]: 'differs', poem: 'known' }], alone.said)
    t.match(alone.said, 'it can not be replaced while pillar-3 does not answer')
    t.equal((await kept()).diary, '6 bytes on 2')
    await fleet.time.finish(fleet.boards[2]?.start() ?? Promise.resolve())
    const done = await put({ changed: 'replace' })
    t.same([done.code, outcomes(done)], [0, { diary: 'stored', poem: 'known' }], done.said)
    t.same(await kept(), { diary: '15 bytes on 3', poem: '5 bytes on 3' })
    const again = await put({ changed: 'replace' })
    t.same([again.code, outcomes(again)], [0, { diary: 'known', poem: 'known' }])
    t.equal((await fleet.boards[0]?.index.retained({ limit: 9 }))?.length, 1, 'kept aside')
  },
)

t.test(
  '[MASS-3] a folder that was encrypted for ransom does not get into the archive',
  async (t) => {
    const { write, put, fleet, run } = await story(t, { pillars: 1, copiesMin: 1 })
    const count = 115
    const all = (text: string, mtime = day) => {
      for (let n = 0; n < count; n++) write(`${n}.doc`, `${text} ${n}`, mtime)
    }
    /** What a new run would know. */
    const hear = () =>
      run(async ({ client }) => {
        await client.refresh()
        return { code: 0 }
      })
    const sums = async () =>
      (await fleet.boards[0]?.index.list({ collection: 'home', limit: 999 }))?.files
        .map(({ checksum }) => checksum)
        .join()
    const heard: string[] = []
    fleet.broker.connectAs('bob')({
      ...{ clientId: 'bob.ears', persistent: false, subscriptions: ['colonnade/alarms'] },
      receive: (_topic, payload) => void heard.push(new TextDecoder().decode(payload)),
      connected: () => undefined,
      closed: () => undefined,
    })
    await put()
    const before = await sums()
    all('written')
    await put()
    const known = await sums()
    t.not(known, before)
    // Only touched: that is none that changed, and each is read once.
    all('written', day + 60)
    const touched = await put({ changed: 'replace' })
    t.equal(touched.code, 0, touched.said)
    t.equal(touched.read.length, count)
    all('ransom!', day + 120)
    const sentence = /^115 files of the 115 in home would be replaced; nothing was changed$/
    await t.rejects(put({ changed: 'replace' }), {
      message: sentence,
      hint: /collection allow home --member ann --changes 115/,
    })
    await t.rejects(
      put({ changed: 'replace', changes: 115 }),
      { message: sentence },
      'the owner has a say in it',
    )
    t.equal(await sums(), known)
    await fleet.time.advance(2_000)
    t.match(heard, [/put on ann: 115 files/, /put on ann: 115 files/])
    const until = timeText(fleet.time.clock.now() + 3_600_000)
    const leave = { identity: 'ann', collection: 'home', files: 115, until }
    await fleet.publish((document) => ({ ...document, massChanges: [leave] }))
    await fleet.time.advance(5_000)
    await hear()
    const hint = await put({ changed: 'replace', changes: 100 }).catch((error) => error.hint)
    t.match(hint, /--changes 115/, 'and so has who types')
    const meant = await put({ changed: 'replace', changes: 115 })
    t.equal(meant.code, 0, meant.said)
    t.not(await sums(), known)
    t.equal(heard.length, 3)
  },
)

t.test('--changed replace goes on where an interruption left pillars that differ', async (t) => {
  const { fleet, write, put, run, kept } = await story(t)
  write('diary', 'Monday')
  await put()
  const path = write('diary', 'Monday. Tuesday', day + 5)
  const checksum = digestOf(fleet, new Uint8Array(readFileSync(path)))
  const old = digestOf(fleet, 'Monday')
  const offer = {
    size: 15,
    async *read(offset: number, length: number) {
      yield new Uint8Array(readFileSync(path)).slice(offset, offset + length)
    },
  }
  const item = { id: 'diary', size: 15, checksum, mtime: (day + 5) * 1000, offer }
  await run(async ({ client, signal }) => {
    await replaceFile(client, 'home', old, item, ['pillar-1'], { signal })
    return { code: 0 }
  })
  t.match(await kept(), { diary: /not on/ })
  const done = await put({ changed: 'replace' })
  t.same([done.code, outcomes(done)], [0, { diary: 'stored' }], done.said)
  t.same(await kept(), { diary: '15 bytes on 3' })
})

t.test('--prove: what is known is read again by the pillars, and damage is told', async (t) => {
  const { fleet, write, put } = await story(t)
  write('diary', 'Monday')
  await put()
  const [board] = fleet.boards
  board?.disk.faults.rot('home/data/diary', 1)
  t.same(outcomes(await put()), { diary: 'known' })
  const done = await put({ prove: true })
  t.same([done.code, outcomes(done)], [3, { diary: 'known' }], done.said)
  t.match(done.said, 'diary: the copy on pillar-1 is damaged')
})

t.test('a file that changes while it is read is tried once more', async (t) => {
  const { write, put, folder, kept } = await story(t)
  const path = write('log', 'one line\n')
  write('other', 'quiet')
  let meddled = 0
  const read = (name: string): void => {
    if (name === 'log' && meddled++ === 0) appendFileSync(join(folder, name), 'two\n')
  }
  const did = await put({}, { read })
  t.same([did.code, outcomes(did)], [0, { log: 'stored', other: 'stored' }], did.said)
  t.equal((await kept()).log, `${statSync(path).size} bytes on 3`, 'as it was in the end')
})

t.test('a file that never holds still is passed over; the rest is stored', async (t) => {
  const { write, put, folder, kept } = await story(t)
  const path = write('log', 'one line\n')
  write('other', 'quiet')
  const read = (name: string): void => {
    if (name === 'log') appendFileSync(join(folder, name), 'more\n')
  }
  const did = await put({}, { read })
  t.same([did.code, outcomes(did)], [3, { [path]: 'passedOver', other: 'stored' }])
  t.match(did.said, `${path}: it is being changed while it is read`)
  t.same(await kept(), { other: '5 bytes on 3' })
})

t.test('a file that vanishes while it is read is passed over; the rest is stored', async (t) => {
  const { write, put, folder, kept } = await story(t)
  const path = write('gone', 'soon')
  write('other', 'quiet')
  const did = await put({}, { read: (name) => name === 'gone' && rmSync(join(folder, name)) })
  t.same([did.code, outcomes(did)], [3, { [path]: 'passedOver', other: 'stored' }])
  t.match(did.said, `${path}: there is no such file or folder`)
  t.same(await kept(), { other: '5 bytes on 3' })
})

t.test('a file that changes while it is sent goes as it is in the end', async (t) => {
  const { write, put, folder, kept, fleet } = await story(t)
  const big = 3 * limits.chunkBytes
  write('a/film', 'x'.repeat(big))
  for (let n = 0; n < 20; n++) write(`b/${n}`, `${n}`)
  let reads = 0
  const read = (name: string, offset: number): void => {
    // Read once for its checksum; then while the first pillar takes it.
    if (name === 'a/film' && offset === 0 && ++reads === 2)
      truncateSync(join(folder, name), big - 1)
  }
  const began = fleet.time.clock.monotonic()
  const did = await put({}, { read })
  t.equal(did.code, 0, did.said)
  t.equal((await kept())['a/film'], `${big - 1} bytes on 3`)
  t.equal((await kept())['b/7'], '1 bytes on 3')
  t.ok(fleet.time.clock.monotonic() - began < 3 * limits.promiseMs, 'without waiting for long')
})

t.test('a file that cannot be read is passed over; the rest is stored', async (t) => {
  const { write, put } = await story(t)
  const path = write('broken', 'on a bad sector')
  write('other', 'quiet')
  const read = (name: string): void => {
    if (name === 'broken') throw new DiskError('EIO', 'read')
  }
  const did = await put({}, { read })
  t.same([did.code, outcomes(did)], [3, { [path]: 'passedOver', other: 'stored' }])
  t.match(did.said, `${path}: the disk fails to read or write it`)
})

t.test('links, pipes and names that are no text are passed over; the rest is stored', async (t) => {
  const { write, put, folder } = await story(t)
  const path = write('real', 'file')
  symlinkSync(path, join(folder, 'link'))
  symlinkSync('/', join(folder, 'folder-link'))
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]), 'latin')
  mkdirSync(Buffer.concat([Buffer.from(`${folder}/dir`), Buffer.from([0xff])]))
  mkdirSync(join(folder, 'half', '.colonnade-partial'), { recursive: true })
  const did = await put()
  t.equal(did.code, 3)
  t.same(outcomes(did), {
    real: 'stored',
    [join(folder, 'link')]: 'passedOver',
    [join(folder, 'folder-link')]: 'passedOver',
    [join(folder, 'café')]: 'passedOver',
    [join(folder, 'dirÿ')]: 'passedOver',
    [join(folder, 'half', '.colonnade-partial')]: 'passedOver',
  })
  t.match(did.said, 'link: a symbolic link is not followed')
  t.match(did.said, 'café: its name is not UTF-8')
})

t.test('ids that exclude each other are refused before anything is sent', async (t) => {
  const { write, folder, run, fleet, kept } = await story(t)
  write('one/x', 'x')
  write('two/x', 'another x')
  write('three/x/y', 'y')
  const paths = ['one', 'two', 'three', 'one', 'one/x'].map((name) => join(folder, name))
  const { code, objects, said } = await run((desk) => putPaths(desk, fleet.collection, paths, {}))
  t.equal(code, 3)
  t.same(
    objects
      .filter(({ outcome }) => outcome !== undefined)
      .map(({ outcome }) => outcome)
      .sort(),
    ['passedOver', 'passedOver', 'stored'],
  )
  t.match(said, `${join(folder, 'two/x')}: it would have the same id as ${join(folder, 'one/x')}`)
  t.match(said, `${join(folder, 'three/x/y')}: its id x/y does not go with that of`)
  t.same(await kept(), { x: '1 bytes on 3' })
})

t.test('a file where the archive has a folder is refused; the rest is stored', async (t) => {
  const { write, put, folder, kept } = await story(t)
  write('a/b', 'below')
  await put()
  rmSync(join(folder, 'a'), { recursive: true })
  write('a', 'in its place')
  write('z', 'other')
  const did = await put()
  t.same([did.code, outcomes(did)], [3, { a: 'refused', z: 'stored' }])
  t.match(did.said, /a: pillar-\d: it would stand in the way of a\/b/)
  t.notMatch(did.said, 'repeat', 'repeating it is of no use')
  t.same(await kept(), { 'a/b': '5 bytes on 3', z: '5 bytes on 3' })
})

t.test('a pillar that is away is owed its copies, and gets them', async (t) => {
  const { write, put, kept, fleet } = await story(t)
  const [, , away] = fleet.boards
  away?.crash()
  await fleet.time.advance(60_000)
  for (let n = 0; n < 100; n++) write(`${n}`, `file ${n}`)
  const did = await put()
  t.equal(did.code, 0, 'owed copies are no error')
  t.match(did.said, '100 files stored')
  t.match(did.said, 'pillar-3 is owed 100 of them; the tracker brings them when it returns')
  await fleet.time.finish(away?.start() ?? Promise.reject())
  await fleet.time.advance(10 * 60_000)
  t.equal((await kept())['7'], '6 bytes on 3')
  t.match((await put()).said, '0 files stored (0 B), 100 known')
})

t.test('--wait all waits for pillars that are away, and says which did not come', async (t) => {
  const { write, put, kept, fleet } = await story(t, { pillars: 4 })
  const [, , third, fourth] = fleet.boards
  third?.crash()
  fourth?.crash()
  await fleet.time.advance(60_000)
  write('a', 'a')
  // The later one after more than the idle timeout, but not after the first one came.
  const back = Promise.all([
    fleet.time.clock.sleep(30_000).then(() => third?.start()),
    fleet.time.clock.sleep(110_000).then(() => fourth?.start()),
  ])
  const did = await put({ waitAll: true })
  t.equal(did.code, 0, did.said)
  t.notMatch(did.said, 'owed')
  t.same(await kept(), { a: '1 bytes on 4' })
  await fleet.time.finish(back)
  fourth?.crash()
  await fleet.time.advance(60_000)
  write('b', 'b')
  const other = await put({ waitAll: true })
  t.equal(other.code, 3)
  t.match(other.said, 'pillar-4 is owed 2 of them')
})

t.test('when the tracker could not be told what is owed, that is said', async (t) => {
  const { write, put, fleet } = await story(t)
  fleet.boards[2]?.crash()
  fleet.tracker.crash()
  await fleet.time.advance(60_000)
  write('a', 'a')
  const did = await put()
  t.equal(did.code, 0)
  t.match(did.said, 'pillar-3 is owed 1 of them\n')
  t.match(did.said, 'the tracker could not be told what is owed; repeat the command later')
})

t.test('too few copies is a failure, and repeating helps', async (t) => {
  const { write, put, fleet } = await story(t)
  for (const board of fleet.boards.slice(1)) board.crash()
  await fleet.time.advance(60_000)
  write('a', 'a')
  const did = await put()
  t.equal(did.code, 1)
  t.match(did.said, 'a: only 1 of 2 copies were confirmed; no answer from pillar-2, pillar-3')
  t.match(did.said, 'hint: repeat the same command')
  for (const board of fleet.boards.slice(1)) await fleet.time.finish(board.start())
  await fleet.time.advance(5_000)
  t.equal((await put()).code, 0)
})

t.test('nobody there', async (t) => {
  const { write, put, get, fleet } = await story(t)
  write('a', 'a')
  for (const board of fleet.boards) board.crash()
  await fleet.time.advance(60_000)
  await t.rejects(put(), { message: 'no pillar answered', exitCode: 4 })
  await t.rejects(get([], { all: true }), { message: 'no pillar answered', exitCode: 4 })
})

t.test('--dry-run says what would be done, and does nothing', async (t) => {
  const { write, put, kept } = await story(t)
  write('old', 'old')
  const changed = write('changed', 'before')
  await put()
  write('changed', 'after that', day + 1)
  write('new', 'new')
  const did = await put({ dryRun: true })
  t.equal(did.code, 3)
  t.same(outcomes(did), { old: 'known', new: 'wouldPut', [changed]: 'differs' })
  t.match(did.said, 'would put new')
  t.match(did.said, '1 file would be stored (3 B), 1 known, 1 passed over')
  t.same(did.read, [], 'nothing need be read for that')
  t.same(Object.keys(await kept()), ['changed', 'old'])
})

t.test('an empty folder is nothing to do, and --exclude may leave nothing', async (t) => {
  const { write, put } = await story(t)
  const none = await put()
  t.same([none.code, none.said], [0, 'there are no files there\n0 files stored (0 B), 0 known'])
  write('a.tmp', 'a')
  t.equal((await put({ exclude: ['*.tmp'] })).code, 0)
})

t.test('--as must be a folder of an archive, and --note not a book', async (t) => {
  const { write, put, kept } = await story(t)
  write('a', 'a')
  for (const as of ['', '/', '../up', '/abs', 'a//b', 'x'.repeat(256)])
    t.throws(() => checkPut({ as }), { name: 'Complaint', exitCode: 2 })
  t.throws(() => checkPut({ note: 'x'.repeat(2_001) }), { name: 'Complaint', exitCode: 2 })
  checkPut({ note: 'x'.repeat(2_000) })
  t.equal((await put({ as: 'pictures/2026/' })).code, 0)
  t.same(Object.keys(await kept()), ['pictures/2026/a'])
})

t.test('an interrupted put goes on', async (t) => {
  const { write, put, kept } = await story(t)
  for (let n = 0; n < 200; n++) write(`${n}`, `file ${n}`)
  const stop = new AbortController()
  let reads = 0
  const read = (): void => {
    if (++reads === 150) stop.abort(new Stopped('interrupted'))
  }
  await t.rejects(put({}, { signal: stop.signal, read }), { name: 'Stopped' })
  const before = Object.keys(await kept()).length
  t.ok(before < 200)
  const did = await put()
  t.equal(did.code, 0, did.said)
  t.equal(Object.keys(await kept()).length, 200)
})

t.test('a get goes on after an interruption, and leaves nothing half-way', async (t) => {
  const { write, put, get, folder } = await story(t)
  for (let n = 0; n < 200; n++) write(`src/deep/${n}`, `file ${n}`)
  write('src/film', 'x'.repeat(5 * limits.chunkBytes))
  await put()
  const stop = new AbortController()
  let writes = 0
  const write2 = (): void => {
    if (++writes === 250) stop.abort(new Stopped('interrupted'))
  }
  const options = { all: true, output: `${folder}/back/` }
  await t.rejects(get([], options, { signal: stop.signal, write: write2 }), { name: 'Stopped' })
  const there = (): string[] =>
    readdirSync(join(folder, 'back'), { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name))
  const before = there().filter((path) => !path.includes('.colonnade-partial')).length
  t.ok(before > 0 && before < 201, `${before} had come`)
  const did = await get([], options)
  t.equal(did.code, 0, did.said)
  t.match(did.said, `${before} were there already`)
  t.equal(there().length, 201)
  t.notOk(existsSync(join(folder, 'back/src/deep/.colonnade-partial')))
  t.equal(Math.floor(statSync(join(folder, 'back/src/deep/7')).mtimeMs), day * 1000, 'its time')
  const again = await get([], options)
  t.match(again.said, '0 files fetched (0 B), 201 were there already')
})

t.test('two gets into one folder leave each other what gathers there', async (t) => {
  const { write, put, get, folder } = await story(t)
  for (const name of ['a', 'b', 'c']) write(`src/${name}`, `file ${name}`)
  await put()
  // As the other one does when it ends: it removes the folder, if nothing is in it.
  let ends = 0
  const other = (path: string): void => {
    if (path.startsWith('back/src/.colonnade-partial/') && ++ends !== 2)
      rmdirSync(join(folder, 'back/src/.colonnade-partial'))
  }
  const meddle = {
    write(path: string): void {
      try {
        other(path)
      } catch (error) {
        t.equal((error as NodeJS.ErrnoException).code, 'ENOTEMPTY')
      }
    },
  }
  const did = await get([], { all: true, output: `${folder}/back/` }, meddle)
  t.equal(did.code, 0, did.said)
  t.ok(ends > 3)
  t.same(readdirSync(join(folder, 'back/src')).sort(), ['a', 'b', 'c'], 'and nothing is left over')
})

t.test('what differs is left alone unless --overwrite says otherwise', async (t) => {
  const { write, put, get, folder } = await story(t)
  write('a', 'archived')
  write('b', 'archived too')
  await put()
  write('a', 'mine now')
  rmSync(join(folder, 'b'))
  const options = { all: true, output: `${folder}/` }
  const did = await get([], options)
  t.same([did.code, outcomes(did)], [3, { a: 'inTheWay', b: 'fetched' }])
  t.match(did.said, `${join(folder, 'a')}: another file is there; --overwrite replaces it`)
  t.equal(readFileSync(join(folder, 'a'), 'utf8'), 'mine now')
  const over = await get([], { ...options, overwrite: true })
  t.equal(over.code, 0)
  t.equal(readFileSync(join(folder, 'a'), 'utf8'), 'archived')
})

t.test('a file that comes there while it is fetched is left alone', async (t) => {
  const { write, put, get, folder } = await story(t)
  write('a', 'archived')
  await put()
  rmSync(join(folder, 'a'))
  const meddle = { write: () => writeFileSync(join(folder, 'a'), 'mine') }
  const did = await get(['a'], { output: `${folder}/` }, meddle)
  t.same([did.code, outcomes(did)], [1, { a: 'inTheWay' }])
  t.equal(readFileSync(join(folder, 'a'), 'utf8'), 'mine')
  t.same(readdirSync(folder), ['a'], 'and nothing half-way is left')
})

t.test('nothing is written through links, or where a file or a folder is in the way', async (t) => {
  const { write, put, get, folder } = await story(t)
  for (const id of ['to/link/x', 'to/file/x', 'to/folder', 'to/dangling', 'to/y']) write(id, id)
  await put()
  rmSync(join(folder, 'to'), { recursive: true })
  mkdirSync(join(folder, 'elsewhere'))
  mkdirSync(join(folder, 'to/folder'), { recursive: true })
  symlinkSync('../elsewhere', join(folder, 'to/link'))
  symlinkSync('../elsewhere/z', join(folder, 'to/dangling'))
  write('to/file', 'a file')
  for (const overwrite of [false, true]) {
    const did = await get([], { all: true, output: `${folder}/`, overwrite })
    t.equal(did.code, 3)
    t.match(did.said, `${join(folder, 'to/link/x')}: ${join(folder, 'to/link')} is no folder`)
    t.match(did.said, `${join(folder, 'to/file/x')}: ${join(folder, 'to/file')} is no folder`)
    t.match(did.said, `${join(folder, 'to/folder')}: a folder is in its place`)
    t.same(readdirSync(join(folder, 'elsewhere')), [], 'nothing went elsewhere')
    t.equal(readFileSync(join(folder, 'to/file'), 'utf8'), 'a file')
    t.equal(readFileSync(join(folder, 'to/y'), 'utf8'), 'to/y')
  }
  t.equal(
    readFileSync(join(folder, 'to/dangling'), 'utf8'),
    'to/dangling',
    '--overwrite replaced the link itself',
  )
})

t.test('a link on the way to the folder that was named is followed', async (t) => {
  const { write, put, get, folder } = await story(t)
  write('a/b', 'b')
  await put()
  mkdirSync(join(folder, 'disk'))
  symlinkSync('disk', join(folder, 'link'))
  t.equal((await get([], { all: true, output: `${folder}/link/new/` })).code, 0)
  t.equal(readFileSync(join(folder, 'disk/new/a/b'), 'utf8'), 'b')
})

t.test('a disk that is full ends a get at once, and it can go on later', async (t) => {
  const { write, put, get, folder, fleet } = await story(t)
  for (let n = 0; n < 30; n++) write(`src/${n}`, 'x'.repeat(n + 1))
  await put()
  const meddle = {
    write() {
      throw new DiskError('ENOSPC', 'write')
    },
  }
  const began = fleet.time.clock.monotonic()
  const did = await get([], { all: true, output: `${folder}/back/` }, meddle)
  t.equal(did.code, 1)
  t.match(did.said, /error: .*there is no space left on this disk/)
  t.ok(fleet.time.clock.monotonic() - began < 60_000, 'and tries no other pillar')
  const later = await get([], { all: true, output: `${folder}/back/` })
  t.equal(later.code, 0)
  t.match(later.said, '30 files fetched')
})

t.test('parts of a file, exactly', async (t) => {
  const { write, put, get, folder } = await story(t)
  write('digits', '0123456789')
  write('empty', '')
  await put()
  const part = async (offset?: number, length?: number): Promise<string> => {
    const output = join(folder, 'out', `${offset}-${length}`)
    const did = await get(['digits'], {
      output,
      ...(offset === undefined ? {} : { offset }),
      ...(length === undefined ? {} : { length }),
    })
    t.equal(did.code, 0, did.said)
    return readFileSync(output, 'utf8')
  }
  t.equal(await part(5, 5), '56789')
  t.equal(await part(0, 1), '0')
  t.equal(await part(3), '3456789')
  t.equal(await part(undefined, 3), '012')
  t.equal(await part(0, 10), '0123456789')
  t.equal(await part(10), '')
  t.equal(await part(4, 0), '')
  for (const [offset, length] of [
    [5, 6],
    [11, 0],
    [100, 1],
  ] as const)
    await t.rejects(get(['digits'], { output: `${folder}/beyond/`, offset, length }), {
      message: 'digits has 10 bytes; what was asked for ends beyond them',
      exitCode: 1,
    })
  t.notOk(existsSync(join(folder, 'beyond')), 'nothing is left behind')
  const twice = await get(['digits'], { output: join(folder, 'out', '5-5'), offset: 5, length: 5 })
  t.equal(twice.code, 1)
  t.match(twice.said, 'something is there already; --overwrite replaces it')
})
