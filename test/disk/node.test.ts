import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import { bytes } from '../contract/disk.ts'

test('a disk stays with the folder that was opened, whatever is mounted or unmounted above it', async (t) => {
  const dir = t.testdir({ mount: { old: 'x' } })
  const disk = nodeDisk(join(dir, 'mount'))
  t.teardown(() => disk.close())
  t.equal(disk.atRoot(), true)
  renameSync(join(dir, 'mount'), join(dir, 'moved'))
  mkdirSync(join(dir, 'mount'))
  t.equal(disk.atRoot(), false)
  disk.write('new', 0, bytes('y'))
  disk.mkdir('folder')
  disk.syncDir('')
  t.strictSame(readdirSync(join(dir, 'mount')), [])
  t.strictSame(readdirSync(join(dir, 'moved')).sort(), ['folder', 'new', 'old'])
})

test('a symbolic link is not followed out of the volume', async (t) => {
  const dir = t.testdir({ volume: {}, secret: 'mine' })
  symlinkSync(join(dir, 'secret'), join(dir, 'volume/link'))
  const disk = nodeDisk(join(dir, 'volume'))
  t.teardown(() => disk.close())
  t.throws(() => disk.write('link', 0, bytes('x')), { code: 'ELOOP' })
  t.throws(() => disk.read('link', 0, 1), { code: 'ELOOP' })
  t.throws(() => disk.sync('link'), { code: 'ELOOP' })
  t.match(disk.stat('link'), { kind: 'other' })
  t.strictSame(disk.list(''), [{ name: 'link', kind: 'other' }])
  disk.remove('link')
  t.equal(readFileSync(join(dir, 'secret'), 'utf8'), 'mine')
})

test('a file that was replaced by hand is read anew', async (t) => {
  const dir = t.testdir({ a: 'old' })
  const disk = nodeDisk(dir)
  t.teardown(() => disk.close())
  t.equal(Buffer.from(disk.read('a', 0, 9)).toString(), 'old')
  writeFileSync(join(dir, 'b'), 'new')
  renameSync(join(dir, 'b'), join(dir, 'a'))
  t.equal(Buffer.from(disk.read('a', 0, 9)).toString(), 'new')
})

test('writing many files keeps few of them open, and closing none', async (t) => {
  const dir = t.testdir()
  const disk = nodeDisk(dir)
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  for (let n = 0; n < 50; n++) disk.write(`f${n}`, 0, bytes('x'))
  t.ok(open() - before <= 8, `${open() - before} are open`)
  for (let n = 0; n < 50; n++) disk.remove(`f${n}`)
  t.equal(open(), before)
  disk.write('last', 0, bytes('x'))
  disk.close()
  disk.close()
  t.equal(open(), before - 1)
})

test('a closed disk refuses, and does not reach what has its number now', async (t) => {
  const disk = nodeDisk(t.testdir({ a: 'x' }))
  disk.close()
  t.throws(() => disk.read('a', 0, 1), { code: 'EBADF' })
  t.throws(() => disk.list(''), { code: 'EBADF' })
  t.throws(() => disk.free(), { code: 'EBADF' })
})

test('a root that is absent or no folder is refused', async (t) => {
  const dir = t.testdir({ file: 'x' })
  t.throws(() => nodeDisk(join(dir, 'absent')), { code: 'ENOENT' })
  t.throws(() => nodeDisk(join(dir, 'file')), { code: 'ENOTDIR' })
})
