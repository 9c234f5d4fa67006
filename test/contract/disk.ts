import fc from 'fast-check'
import type { Test } from 'tap'
import { type Disk, diskErrorCode } from '../../src/disk/disk.ts'

type Open = (t: Test) => Promise<Disk>

/** What every disk promises; `open` gives an empty one. */
export function diskContract(t: Test, name: string, open: Open): void {
  bytesOfFiles(t, name, open)
  names(t, name, open)
  refusals(t, name, open)
}

function bytesOfFiles(t: Test, name: string, open: Open): void {
  t.test(`${name}: a write makes the file, and what was written is read`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('hello'))
    await disk.write('a', 5, bytes(' world'))
    await disk.write('a', 0, bytes('J'))
    t.equal(await text(disk, 'a'), 'Jello world')
    t.match(await disk.stat('a'), { kind: 'file', size: 11 })
    await disk.write('empty', 0, bytes(''))
    t.match(await disk.stat('empty'), { kind: 'file', size: 0 })
  })

  t.test(`${name}: a read gives what is there, and less only at the end`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('0123456789'))
    const read = async (offset: number, length: number) =>
      Buffer.from(await disk.read('a', offset, length)).toString()
    t.equal(await read(2, 3), '234')
    t.equal(await read(8, 5), '89')
    t.equal(await read(10, 5), '')
    t.equal(await read(99, 5), '')
    t.equal(await read(3, 0), '')
  })

  t.test(`${name}: what is on the medium is what was written, also at its end`, async (t) => {
    const disk = await open(t)
    for (const size of [0, 1, 4095, 4096, 4097, 1_048_576, 1_050_001]) {
      const whole = Uint8Array.from({ length: size }, (_, n) => (n * n) >> 3)
      await disk.write(`of ${size}`, 0, whole.slice())
      const found: Uint8Array[] = []
      for (let at = 0; ; at += 65_536) {
        const into = await disk.memory(65_536)
        const length = await disk.readMedium(`of ${size}`, at, into)
        if (length === 0) break
        found.push(into.subarray(0, length))
      }
      t.ok(Buffer.concat(found).equals(whole), `${size} bytes`)
    }
    await t.rejects(disk.readMedium('absent', 0, await disk.memory(4096)), { code: 'ENOENT' })
  })

  t.test(`${name}: memory of the disk is written and filled, and stays the caller's`, async (t) => {
    const disk = await open(t)
    const memory = await disk.memory(65_536)
    t.equal(memory.length, 65_536)
    const all = Uint8Array.from({ length: 200_000 }, (_, n) => Math.imul(n, 0x9e3779b1) >>> 24)
    // Pieces of all kinds: whole blocks, a beginning and an end within one, and over what stands there.
    const pieces = [
      ...[0, 4096, 8192, 8192, 12_000, 16_384, 30_000, 61_440, 126_976, 126_980, 192_000],
      all.length,
    ]
    for (const [n, end] of pieces.entries()) {
      const begin = pieces[n - 1] ?? 0
      if (end === begin) continue
      memory.set(all.subarray(begin, Math.min(end, begin + memory.length)))
      const length = Math.min(end - begin, memory.length)
      await disk.write('a', begin, memory.subarray(0, length))
      memory.fill(0xff)
      if (begin + length < end)
        await disk.write('a', begin + length, all.slice(begin + length, end))
    }
    t.equal((await disk.stat('a'))?.size, all.length)
    t.ok(Buffer.from(await disk.read('a', 0, all.length)).equals(all))
    for (const offset of [0, 1, 65_536, 150_000, 200_000, 300_000]) {
      const length = await disk.readInto('a', offset, memory)
      const right = all.subarray(offset, offset + memory.length)
      t.equal(length, right.length, `${offset}`)
      t.ok(Buffer.from(memory.subarray(0, length)).equals(right), `${offset}`)
    }
    await disk.sync('a')
    memory.fill(7, 0, 8192)
    await disk.write('a', 4096, memory.subarray(0, 8192))
    const over = Buffer.from(await disk.read('a', 0, all.length))
    t.ok(over.equals(Buffer.concat([all.slice(0, 4096), Buffer.alloc(8192, 7), all.slice(12_288)])))
  })

  t.test(`${name}: a gap before a write is zeros`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 3, bytes('x'))
    t.equal(await text(disk, 'a'), '\0\0\0x')
  })

  t.test(`${name}: megabytes come back equal`, async (t) => {
    const disk = await open(t)
    const big = Uint8Array.from({ length: 3_000_001 }, (_, n) => (n * n) >> 7)
    await disk.write('big', 0, big.slice())
    await disk.sync('big')
    const read = await disk.read('big', 0, 5_000_000)
    t.ok(Buffer.from(read).equals(big))
  })

  t.test(`${name}: part of a larger buffer is written as that part`, async (t) => {
    const disk = await open(t)
    const whole = bytes('0123456789')
    await disk.write('a', 0, whole.subarray(2, 5))
    t.equal(await text(disk, 'a'), '234')
    t.equal(Buffer.from(whole).toString(), '0123456789')
    await disk.write('b', 0, Buffer.from('pooled'))
    t.equal(await text(disk, 'b'), 'pooled')
  })

  t.test(`${name}: truncate cuts, or fills with zeros`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('0123456789'))
    await disk.truncate('a', 4)
    t.equal(await text(disk, 'a'), '0123')
    await disk.truncate('a', 6)
    t.equal(await text(disk, 'a'), '0123\0\0')
    t.equal((await disk.stat('a'))?.size, 6)
  })

  t.test(`${name}: a touched file has that time, to the millisecond`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('x'))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -1e9, max: 4_102_444_800_000 }), async (mtime) => {
        await disk.touch('a', mtime)
        return (await disk.stat('a'))?.mtime === mtime
      }),
    )
    await disk.sync('a')
    await disk.touch('a', 1_234_567_890_123)
    t.equal((await disk.stat('a'))?.mtime, 1_234_567_890_123)
  })

  t.test(
    `${name}: a file stays written under its new name, and the old name is free`,
    async (t) => {
      const disk = await open(t)
      await disk.write('a', 0, bytes('first'))
      await disk.rename('a', 'b')
      await disk.write('a', 0, bytes('second'))
      await disk.write('b', 5, bytes('!'))
      t.equal(await text(disk, 'a'), 'second')
      t.equal(await text(disk, 'b'), 'first!')
      await disk.rename('a', 'b')
      await disk.write('b', 0, bytes('S'))
      t.equal(await text(disk, 'b'), 'Second')
      t.equal(await disk.stat('a'), undefined)
    },
  )

  t.test(`${name}: many files may be written in turns`, async (t) => {
    const disk = await open(t)
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 25; n++) await disk.write(`f${n}`, round, bytes(String(round)))
    }
    for (let n = 0; n < 25; n++) t.equal(await text(disk, `f${n}`), '012')
  })

  t.test(`${name}: knows how much is free`, async (t) => {
    const disk = await open(t)
    const free = await disk.free()
    t.ok(free.bytesTotal > 0 && free.bytesFree > 0 && free.bytesFree <= free.bytesTotal)
    t.ok(free.inodesFree > 0)
  })
}

function names(t: Test, name: string, open: Open): void {
  t.test(`${name}: a folder is made once`, async (t) => {
    const disk = await open(t)
    t.equal(await disk.mkdir('a'), true)
    t.equal(await disk.mkdir('a'), false)
    t.equal(await disk.mkdir('a/b'), true)
    t.match(await disk.stat('a/b'), { kind: 'folder' })
    t.match(await disk.stat(''), { kind: 'folder' })
    await disk.syncDir('a')
    await disk.syncDir('')
  })

  t.test(`${name}: lists names by code unit, with their kinds`, async (t) => {
    const disk = await open(t)
    for (const name of ['b', 'a', 'B', 'é', 'e\u0301', '\u{1f600}', '\uffee']) {
      await disk.write(name, 0, bytes('x'))
    }
    await disk.mkdir('c')
    await disk.write('c/inner', 0, bytes('x'))
    const listed = await disk.list('')
    t.strictSame(
      listed.map((entry) => entry.name),
      ['B', 'a', 'b', 'c', 'e\u0301', 'é', '\u{1f600}', '\uffee'],
    )
    t.strictSame(
      listed.find((entry) => entry.name === 'c'),
      { name: 'c', kind: 'folder' },
    )
    t.strictSame(await disk.list('c'), [{ name: 'inner', kind: 'file' }])
    t.strictSame(await disk.list('absent'), [])
    t.strictSame(await disk.list('absent/too'), [])
  })

  t.test(`${name}: removing what is absent is no error`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('x'))
    await disk.remove('a')
    await disk.remove('a')
    await disk.remove('absent/a')
    t.equal(await disk.stat('a'), undefined)
    await disk.write('a', 0, bytes('new'))
    t.equal(await text(disk, 'a'), 'new')
  })

  t.test(`${name}: only an empty folder is removed`, async (t) => {
    const disk = await open(t)
    await disk.mkdir('a')
    await disk.write('a/b', 0, bytes('x'))
    t.equal(await disk.rmdir('a'), false)
    await disk.remove('a/b')
    t.equal(await disk.rmdir('a'), true)
    t.equal(await disk.rmdir('a'), true)
    t.equal(await disk.stat('a'), undefined)
  })

  t.test(
    `${name}: a folder moves with all that is in it, files being written included`,
    async (t) => {
      const disk = await open(t)
      await disk.mkdir('a')
      await disk.mkdir('a/b')
      await disk.write('a/b/c', 0, bytes('x'))
      await disk.rename('a', 'z')
      await disk.mkdir('a')
      await disk.mkdir('a/b')
      await disk.write('a/b/c', 0, bytes('other'))
      t.equal(await text(disk, 'z/b/c'), 'x')
    },
  )

  t.test(`${name}: what is absent has no stat`, async (t) => {
    const disk = await open(t)
    await disk.write('a', 0, bytes('x'))
    t.equal(await disk.stat('absent'), undefined)
    t.equal(await disk.stat('absent/b'), undefined)
    t.equal(await disk.stat('a/b'), undefined)
  })
}

function refusals(t: Test, name: string, open: Open): void {
  t.test(`${name}: refuses with the name of the errno`, async (t) => {
    const disk = await open(t)
    await disk.write('file', 0, bytes('x'))
    await disk.mkdir('folder')
    await disk.write('folder/a', 0, bytes('x'))
    const expected: [string, () => Promise<unknown>][] = [
      ['ENOENT', () => disk.read('absent', 0, 1)],
      ['ENOENT', () => disk.write('absent/a', 0, bytes('x'))],
      ['ENOENT', () => disk.truncate('absent', 0)],
      ['ENOENT', () => disk.touch('absent', 0)],
      ['ENOENT', () => disk.sync('absent')],
      ['ENOENT', () => disk.syncDir('absent')],
      ['ENOENT', () => disk.rename('absent', 'b')],
      ['ENOENT', () => disk.rename('file', 'absent/b')],
      ['ENOENT', () => disk.mkdir('absent/b')],
      ['ENOTDIR', () => disk.mkdir('file')],
      ['ENOTDIR', () => disk.write('file/a', 0, bytes('x'))],
      ['ENOTDIR', () => disk.list('file')],
      ['ENOTDIR', () => disk.syncDir('file')],
      ['ENOTDIR', () => disk.rmdir('file')],
      ['ENOTDIR', () => disk.rename('folder', 'file')],
      ['EISDIR', () => disk.read('folder', 0, 1)],
      ['EISDIR', () => disk.write('folder', 0, bytes('x'))],
      ['EISDIR', () => disk.truncate('folder', 0)],
      ['EISDIR', () => disk.remove('folder')],
      ['EISDIR', () => disk.rename('file', 'folder')],
      ['EINVAL', () => disk.rename('folder', 'folder/b')],
    ]
    for (const [code, call] of expected) t.equal(await codeOf(call()), code, String(call))
    t.equal(await text(disk, 'file'), 'x')
  })

  t.test(`${name}: no path leads out of the volume`, async (t) => {
    const disk = await open(t)
    await disk.mkdir('a')
    for (const path of ['../x', 'a/../../x', '/etc/hostname', 'a//x', './x', 'a/', 'a\0b', '..']) {
      t.equal(await codeOf(disk.write(path, 0, bytes('x'))), 'EINVAL', path)
      t.equal(await codeOf(disk.read(path, 0, 1)), 'EINVAL', path)
      t.equal(await codeOf(disk.rename('a', path)), 'EINVAL', path)
      t.equal(await codeOf(disk.rename(path, 'b')), 'EINVAL', path)
      t.equal(await codeOf(disk.remove(path)), 'EINVAL', path)
      t.equal(await codeOf(disk.list(path)), 'EINVAL', path)
      t.equal(await codeOf(disk.stat(path)), 'EINVAL', path)
      t.equal(await codeOf(disk.mkdir(path)), 'EINVAL', path)
    }
    t.equal(await codeOf(disk.remove('')), 'EINVAL')
    t.equal(await codeOf(disk.rmdir('')), 'EINVAL')
    t.equal(await codeOf(disk.write('', 0, bytes('x'))), 'EINVAL')
  })
}

/** A random call of a disk, its outcome in a form that can be compared. */
export type Step = (disk: Disk) => Promise<unknown>

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'))
const small = fc.nat(40)
const content = fc.uint8Array({ maxLength: 20 })

/** Calls that succeed and calls that are refused, on few names, so that they meet. */
export const steps: fc.Arbitrary<[string, Step][]> = fc.array(
  fc.oneof(
    fc.tuple(path).map(([p]): [string, Step] => [`mkdir ${p}`, (d) => d.mkdir(p)]),
    fc
      .tuple(path, small, content)
      .map(([p, offset, some]): [string, Step] => [
        `write ${p} ${offset} ${some}`,
        (d) => d.write(p, offset, some.slice()),
      ]),
    fc
      .tuple(path, small)
      .map(([p, size]): [string, Step] => [`truncate ${p} ${size}`, (d) => d.truncate(p, size)]),
    fc
      .tuple(path, path)
      .map(([p, q]): [string, Step] => [`rename ${p} ${q}`, (d) => d.rename(p, q)]),
    fc.tuple(path).map(([p]): [string, Step] => [`remove ${p}`, (d) => d.remove(p)]),
    fc.tuple(path).map(([p]): [string, Step] => [`rmdir ${p}`, (d) => d.rmdir(p)]),
    fc.tuple(path).map(([p]): [string, Step] => [`list ${p}`, (d) => d.list(p)]),
    fc
      .tuple(path)
      .map(([p]): [string, Step] => [
        `read ${p}`,
        async (d) => Buffer.from(await d.read(p, 0, 100)).toString('hex'),
      ]),
    fc.tuple(path).map(([p]): [string, Step] => [`syncDir ${p}`, (d) => d.syncDir(p)]),
  ),
  { maxLength: 60 },
)

/** What a call gives, or the code that it is refused with. */
export const outcome = (call: Promise<unknown>): Promise<unknown> =>
  call.catch((error: unknown) => diskErrorCode(error) ?? error)

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'no error',
    (error: unknown) => diskErrorCode(error) ?? error,
  )

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

export const text = async (disk: Disk, path: string): Promise<string> =>
  Buffer.from(await disk.read(path, 0, 1000)).toString()
