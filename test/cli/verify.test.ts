// Proofs of a real folder by a simulated archive: what is said, and when it is safe to delete.

import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type ChecksumsOptions, checksums, specOf } from '../../src/cli/checksums.ts'
import type { Desk } from '../../src/cli/desk.ts'
import { type ExitCode, type Output, output } from '../../src/cli/output.ts'
import { put } from '../../src/cli/put.ts'
import {
  checkVerify,
  sampled,
  sampleSize,
  type VerifyOptions,
  verify,
} from '../../src/cli/verify.ts'
import { standingOf } from '../../src/client/proofs.ts'
import { nodeDisk } from '../../src/disk/node.ts'
import { limits } from '../../src/limits.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simRandom } from '../../src/sim/random.ts'
import { finish } from '../support/beside-disk.ts'
import { asyncDisk } from '../support/in-thread.ts'

interface Did {
  readonly code: ExitCode
  readonly said: string
  readonly objects: Record<string, unknown>[]
}

interface Story {
  readonly fleet: Fleet
  readonly folder: string
  readonly desk: Desk
  write(name: string, text: string): string
  put(): Promise<void>
  verify(path?: string, options?: VerifyOptions): Promise<Did>
  checksums(names: readonly string[] | 'all', options: ChecksumsOptions): Promise<Did>
}

async function story(t: Test): Promise<Story> {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 2 })
  const folder = t.testdir({})
  const disk = asyncDisk(nodeDisk('/'))
  t.teardown(() => disk.close())
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const lines: string[] = []
  const objects: Record<string, unknown>[] = []
  const hear = (text: string): void => void lines.push(text)
  const out: Output = {
    ...output({ quiet: true }),
    json: false,
    ...{ line: hear, exact: hear, tell: hear, note: hear, warn: hear },
    object: (value) => void objects.push(value as Record<string, unknown>),
  }
  const desk = { client, disk, out, signal: new AbortController().signal }
  const did = async (work: Promise<ExitCode>): Promise<Did> => {
    const code = await finish(fleet, work)
    return { code, said: lines.splice(0).join('\n'), objects: objects.splice(0) }
  }
  return {
    fleet,
    folder,
    desk,
    write(name, text) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
      return path
    },
    async put() {
      await did(put(desk, fleet.collection, [folder], { as: 'mine' }).then(({ code }) => code))
    },
    verify: (path, options = {}) => did(verify(desk, fleet.collection, path, options)),
    checksums: (names, options) => did(checksums(desk, fleet.collection, names, options)),
  }
}

t.test('[SUM-5] all is well: proven by all, and safe to delete', async (t) => {
  const { folder, write, put, verify } = await story(t)
  for (let n = 0; n < 20; n++) write(`folder/${n}`, `text ${n}`)
  write('empty', '')
  await put()
  const { code, said, objects } = await verify()
  t.equal(code, 0)
  t.equal(said, 'proven on pillar-1, pillar-2, pillar-3: 21 of 21 files')
  t.equal(objects.length, 22)
  t.match(objects[0], { id: 'mine/empty', copies: ['pillar-1', 'pillar-2', 'pillar-3'] })
  const again = await verify()
  t.not(again.objects[0]?.sum, objects[0]?.sum, 'by another salt each time')
  const local = await verify(folder, { as: 'mine' })
  t.same([local.code, local.said], [0, 'safe to delete: 21 of 21'])
})

t.test('[SUM-5] what differs, is missing or rotten is named by file and pillar', async (t) => {
  const { fleet, folder, write, put, verify } = await story(t)
  for (const name of ['good', 'rotten', 'other', 'behind']) write(name, name)
  await put()
  const [one, two, three] = fleet.boards
  one?.disk.faults.rot('home/data/mine/rotten', 1)
  const [row] = (await three?.index.stored('home', ['mine/good'])) ?? []
  if (!row) return t.fail('nothing is stored')
  const { timestamp: _timestamp, sequence: _sequence, ...file } = row
  // As a put that failed may leave them: other bytes here, a file that only one has there.
  const now = fleet.time.clock.now()
  await three?.index.commit([{ do: 'store', file: { ...file, id: 'mine/other' }, now }])
  await two?.index.commit([{ do: 'store', file: { ...file, id: 'mine/more' }, now }])
  const all = await verify()
  t.equal(all.code, 3)
  t.same(all.said.split('\n'), [
    'mine/more: missing on pillar-1, pillar-3',
    'mine/other: other bytes on pillar-3',
    'mine/rotten: on pillar-1 the stored bytes are damaged',
    'proven on pillar-1, pillar-2, pillar-3: 2 of 5 files',
  ])
  const local = await verify(folder, { as: 'mine' })
  t.equal(local.code, 0, 'two proven copies are enough to delete one')
  t.match(local.said, 'mine/other: other bytes on pillar-3')
  t.match(local.said, /safe to delete: 4 of 4$/)
  const only = await verify(undefined, { pillar: 'pillar-1' })
  // What was found damaged is not there any more.
  t.same([only.code, only.said], [0, 'proven on pillar-1: 3 of 3 files'])
})

t.test('[SUM-5] not safe to delete: changed, new, too few copies, or not looked at', async (t) => {
  const { fleet, folder, write, put, verify } = await story(t)
  for (const name of ['good', 'changed', 'rotten']) write(name, name)
  await put()
  appendFileSync(join(folder, 'changed'), '!')
  write('new', 'new')
  symlinkSync('good', join(folder, 'link'))
  for (const board of fleet.boards.slice(0, 2)) board.disk.faults.rot('home/data/mine/rotten', 1)
  const { code, said, objects } = await verify(folder, { as: 'mine' })
  t.equal(code, 3)
  t.match(said, 'link: a symbolic link is not followed')
  const every = 'pillar-1, pillar-2, pillar-3'
  t.match(said, `mine/changed: other bytes on ${every}; 0 of 2 proven copies`)
  t.match(said, `mine/new: missing on ${every}; 0 of 2 proven copies`)
  t.match(said, 'mine/rotten: on pillar-1 the stored bytes are damaged; on pillar-2 ')
  t.match(said, '; 1 of 2 proven copies')
  t.match(said, /safe to delete: 1 of 5$/)
  t.same(objects.at(-1), { safe: 1, of: 5 })
  const one = await verify(join(folder, 'good'), { as: 'mine', pillar: 'pillar-1' })
  t.equal(one.code, 3, 'one pillar proves one copy')
  t.match(one.said, 'mine/good: 1 of 2 proven copies\nsafe to delete: 0 of 1')
})

t.test(
  '[SUM-5] a file that is changed or gone while the pillars are at it is not safe',
  async (t) => {
    const { fleet, folder, write, put, verify } = await story(t)
    for (const name of ['kept', 'changed', 'gone']) write(name, name)
    await put()
    for (const board of fleet.boards) board.disk.faults.hang(30_000)
    const work = verify(folder, { as: 'mine' })
    const { clock } = fleet.time
    for (const until = clock.monotonic() + 10_000; clock.monotonic() < until; )
      await new Promise(setImmediate)
    appendFileSync(join(folder, 'changed'), '!')
    rmSync(join(folder, 'gone'))
    const { code, said } = await work
    t.equal(code, 3)
    t.match(said, 'mine/changed: it has changed since it was read')
    t.match(said, 'mine/gone: there is no such file or folder')
    t.match(said, /safe to delete: 1 of 3$/)
  },
)

t.test('[SUM-5] pillars that are away: enough, too few, nobody', async (t) => {
  const { fleet, folder, write, put, verify } = await story(t)
  write('a', 'a')
  await put()
  fleet.boards[2]?.crash()
  await fleet.time.advance(120_000)
  const two = await verify()
  t.same(
    [two.code, two.said],
    [0, 'pillar-3 did not answer\nproven on pillar-1, pillar-2: 1 of 1 file'],
  )
  fleet.boards[1]?.crash()
  await fleet.time.advance(120_000)
  const one = await verify()
  t.equal(one.code, 3)
  t.match(one.said, 'mine/a: only 1 of 2 pillars answered\nproven on pillar-1: 0 of 1 file')
  t.match(await verify(folder, { as: 'mine' }), { code: 3, said: /safe to delete: 0 of 1$/ })
  fleet.boards[0]?.crash()
  await fleet.time.advance(120_000)
  await t.rejects(verify(), { message: 'no pillar answered', exitCode: 4 })
  await t.rejects(verify(folder, { as: 'mine' }), {
    message: 'no pillar answered',
    exitCode: 4,
  })
})

t.test('a sample is as large as asked for, and another each time', async (t) => {
  const { write, put, verify } = await story(t)
  for (let n = 0; n < 60; n++) write(`${n}`, `${n}`)
  await put()
  const one = await verify(undefined, { sample: '10%' })
  t.match(one.said, '6 of 6 files, of 60 in all')
  const other = await verify(undefined, { sample: '6' })
  const ids = ({ objects }: Did): unknown[] => objects.map(({ id }) => id)
  t.notSame(ids(one), ids(other))
  t.same(
    ['7', '5%', '0.5%', '100%', '1000'].map((text) => sampleSize(text, 60)),
    [7, 3, 1, 60, 60],
  )
  for (const text of ['', '0', '0%', '-1', '1.5', '101%', 'all', '5 %', 'NaN'])
    t.equal(sampleSize(text, 60), undefined, text)
  const random = simRandom(1)
  const counts = new Map<number, number>()
  for (let n = 0; n < 4_000; n++)
    for (const item of sampled([0, 1, 2, 3], 2, random))
      counts.set(item, (counts.get(item) ?? 0) + 1)
  for (const item of [0, 1, 2, 3]) t.ok(Math.abs((counts.get(item) ?? 0) - 2_000) < 200)
})

t.test('what can not be meant is refused before anything is sent', async (t) => {
  const bad: [path: string | undefined, options: VerifyOptions, sentence: RegExp][] = [
    [undefined, { as: 'mine' }, /--as goes with a path only/],
    ['/x', { as: '../up' }, /--as \.\.\/up/],
    [undefined, { sample: 'many' }, /--sample many is no amount/],
    ['/x', { sample: '5' }, /a sample says of no other file/],
  ]
  for (const [path, options, message] of bad)
    t.throws(() => checkVerify(path, options), { message, exitCode: 2 })
  t.doesNotThrow(() => checkVerify('/x', { as: 'mine' }))
  t.doesNotThrow(() => checkVerify(undefined, { sample: '5%' }))
  for (const [algorithm, as] of [
    ['sha512', 'SHA-512'],
    ['Sha-1', 'SHA-1'],
    ['md5', 'MD5'],
  ])
    t.equal(specOf({ ...(algorithm ? { algorithm } : {}) }).algorithm, as)
  t.same(specOf({}), { algorithm: 'SHA-256' })
})

t.test('checksums by any algorithm, by name, folder or all', async (t) => {
  const { fleet, write, put, checksums } = await story(t)
  write('a/abc', 'abc')
  write('b', '')
  await put()
  const md5 = { algorithm: 'md5' }
  const abc = '900150983cd24fb0d6963f7d28e17f72  mine/a/abc'
  t.same(await checksums('all', md5), {
    code: 0,
    said: `${abc}\nd41d8cd98f00b204e9800998ecf8427e  mine/b`,
    objects: [
      {
        id: 'mine/a/abc',
        algorithm: 'MD5',
        checksum: '900150983cd24fb0d6963f7d28e17f72',
        pillars: ['pillar-1', 'pillar-2', 'pillar-3'],
        differing: [],
        failed: [],
      },
      {
        id: 'mine/b',
        algorithm: 'MD5',
        checksum: 'd41d8cd98f00b204e9800998ecf8427e',
        pillars: ['pillar-1', 'pillar-2', 'pillar-3'],
        differing: [],
        failed: [],
      },
    ],
  })
  fleet.boards[0]?.disk.faults.rot('home/data/mine/a/abc', 0)
  const some = await checksums(['mine/a/', 'mine/c'], md5)
  t.equal(some.code, 3)
  t.same(some.said.split('\n'), [
    abc,
    'mine/a/abc: pillar-1: the stored bytes are damaged',
    'mine/c: no pillar that answered has it',
  ])
  const salted = { algorithm: 'HMAC-MD5', salt: Buffer.from('Jefe').toString('hex') }
  t.match((await checksums(['mine/b'], { ...salted, pillar: 'pillar-2' })).objects, [
    { ...salted, pillars: ['pillar-2'] },
  ])
})

t.test('[SUM-5] a pillar that knows nothing of salts is not believed', async (t) => {
  const { fleet, desk, write, put } = await story(t)
  write('a', 'a')
  await put()
  const { client } = desk
  const line = {
    ...client.line,
    // Older ones drop the field that they do not know.
    ask: ({ request, ...asking }: Parameters<typeof client.line.ask>[0]) => {
      const { checksumSpec: _spec, ...plain } = { checksumSpec: undefined, ...request }
      return client.line.ask({ ...asking, request: plain as typeof request })
    },
  }
  const old = { ...desk, client: { ...client, line } }
  await t.rejects(finish(fleet, verify(old, 'home', undefined, {})), {
    message: 'no pillar answered',
    exitCode: 4,
  })
})

t.test('what most say is right, unless we know better', async (t) => {
  const said = (sums: Record<string, string>, failed: Record<string, string> = {}) => ({
    sums: new Map(Object.entries(sums)),
    failed: new Map(Object.entries(failed)),
  })
  const all = ['a', 'b', 'c', 'd']
  t.same(standingOf(said({ a: '1', b: '2', c: '2' }, { d: 'why' }), all), {
    sum: '2',
    copies: ['b', 'c'],
    differing: ['a'],
    missing: [],
    failed: ['d'],
  })
  t.match(standingOf(said({ a: '1', b: '2', c: '2' }), all, '1'), {
    copies: ['a'],
    differing: ['b', 'c'],
    missing: ['d'],
  })
  t.match(standingOf(said({}), ['a']), { copies: [], missing: ['a'] })
})

t.test('[SUM-3] a disk that is slow but at it is not given up', async (t) => {
  const { fleet, write, put, verify } = await story(t)
  write('a', 'a')
  await put()
  for (const board of fleet.boards) board.disk.faults.hang(12 * limits.progressMs)
  t.equal((await verify()).code, 0)
})
