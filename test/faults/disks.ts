// R3, R10: a volume on real file systems, when they fail: what was said to be stored is there afterwards, people are told within
// 5 s, and nothing lands anywhere else.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import {
  type FileSystem,
  lab,
  missing,
  missingAfter,
  openedHere,
  type Recorder,
  recorder,
  run,
  type Said,
  type Writer,
  writer,
} from '../support/disk-lab.ts'
import { needs } from '../support/needs.ts'
import { until } from '../support/until.ts'

const basic = ['losetup', 'mkfs.ext4', 'mount']
const systems: Record<FileSystem, string[]> = {
  ext4: [],
  xfs: ['mkfs.xfs'],
  btrfs: ['mkfs.btrfs'],
  exfat: ['mkfs.exfat', 'mount.exfat-fuse'],
}
const kills = 5
const images = 24

/** People have heard of it within 5 s, or of what else is given. */
async function told(t: Test, one: Writer, what: RegExp): Promise<void> {
  const began = performance.now()
  await until(`people are told ${what}`, () => one.news().some((text) => what.test(text)))
  t.ok(performance.now() - began < 5_000, 'within 5 s')
}

for (const [system, tools] of Object.entries(systems) as [FileSystem, string[]][])
  t.test(
    `R3 ${system}: ${kills} SIGKILLs under four writers, nothing acknowledged is lost`,
    needs(t, [...basic, ...tools], true),
    async (t) => {
      const { root } = await lab(t, system)
      const acknowledged: Said[] = []
      for (let n = 0; n < kills; n++) {
        const one = writer(t, root, `r${n}`)
        await one.reached(10 + 7 * n)
        await one.kill('SIGKILL')
        acknowledged.push(...one.stored())
      }
      t.same(await missing(root, acknowledged), [])
      t.comment(`${acknowledged.length} files acknowledged`)
      t.doesNotThrow(() => run('sh', join(import.meta.dirname, '../../deploy/check.sh'), root))
    },
  )

for (const system of ['ext4', 'xfs'] as const)
  t.test(
    `R3 ${system}: the disk loses its power in the middle`,
    needs(t, [...basic, ...systems[system], 'xfs_io'], true),
    async (t) => {
      const on = await lab(t, system)
      const acknowledged: Said[] = []
      for (const [n, count] of [15, 40].entries()) {
        const one = writer(t, on.root, `r${n}`)
        await one.reached(count)
        run('xfs_io', '-x', '-c', 'shutdown', on.mount)
        await told(t, one, /takes no more writes: E/)
        await one.kill('SIGKILL')
        on.unmount()
        on.mounted()
        acknowledged.push(...one.stored())
        t.same(await missing(on.root, acknowledged), [])
      }
    },
  )

t.test('R10 ext4: the kernel turns it read-only', needs(t, basic, true), async (t) => {
  const on = await lab(t, 'ext4')
  const one = writer(t, on.root, 'r')
  await one.reached(15)
  writeFileSync(`/sys/fs/ext4/${on.device.slice(5)}/trigger_fs_error`, '1')
  await told(t, one, /takes no more writes: E/)
  await one.kill('SIGKILL')
  on.unmount()
  run('sh', '-c', `e2fsck -fy ${on.device} || test $? -lt 4`)
  on.mounted()
  t.same(await missing(on.root, one.stored()), [])
})

t.test(
  'R10 a sync that fails is not tried again',
  needs(t, [...basic, 'strace'], true),
  async (t) => {
    const on = await lab(t, 'ext4')
    const inject = 'inject=fdatasync:error=EIO:when=60+'
    const one = writer(t, on.root, 'r', [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      'trace=fdatasync',
      '-e',
      inject,
    ])
    await until('people are told', () =>
      one.news().some((text) => /takes no more writes: EIO/.test(text)),
    )
    const count = one.stored().length
    await setTimeout(300)
    t.equal(one.stored().length, count, 'nothing is said to be stored any more')
    await one.kill('SIGKILL')
    t.same(await missing(on.root, one.stored()), [])
  },
)

t.test(
  'R10 a disk that gets full ends what was coming, and goes on when there is room',
  needs(t, basic, true),
  async (t) => {
    const on = await lab(t, 'ext4', { megabytes: 16 })
    const one = writer(t, on.root, 'r')
    await one.reached(10)
    const filler = join(on.mount, 'filler')
    run('sh', '-c', `head -c 64M /dev/zero > ${filler} || true`)
    await until('it is full', () =>
      one.said.some(({ failed }) => /noSpace|ENOSPC/.test(failed ?? '')),
    )
    t.same(one.news(), [], 'a full disk is no failed one')
    rmSync(filler)
    const count = one.stored().length
    await one.reached(count + 10)
    await one.kill('SIGKILL')
    t.same(await missing(on.root, one.stored()), [])
  },
)

t.test('R10 a disk without inodes', needs(t, basic, true), async (t) => {
  const on = await lab(t, 'ext4', { make: ['-N', '160'] })
  const one = writer(t, on.root, 'r')
  await until('there are none left', () =>
    one.said.some(({ failed }) => /ENOSPC|noSpace/.test(failed ?? '')),
  )
  t.same(one.news(), [])
  t.ok(one.stored().length > 10)
  await one.kill('SIGKILL')
  t.same(await missing(on.root, one.stored()), [])
})

t.test(
  '[DISK-6] two agents on one volume: the second one is refused',
  needs(t, basic, true),
  async (t) => {
    const on = await lab(t, 'ext4')
    const one = writer(t, on.root, 'a')
    await one.reached(5)
    const other = writer(t, on.root, 'b')
    t.equal(await other.ended(), 1)
    t.match(other.said, [{ failed: /busy: another agent is using this volume/ }])
    const count = one.stored().length
    await one.reached(count + 5)
    await one.kill('SIGKILL')
    t.same(await missing(on.root, one.stored()), [])
  },
)

t.test('R10 a lazy unmount: nothing lands on the disk below', needs(t, basic, true), async (t) => {
  const on = await lab(t, 'ext4')
  const one = writer(t, on.root, 'a')
  await one.reached(10)
  on.unmount('-l')
  await setTimeout(500)
  t.same(readdirSync(on.mount), [])
  await one.kill('SIGKILL')
  t.same(readdirSync(on.mount), [])
  await until(
    'the kernel has let it go',
    () => !run('losetup', '-l', '-n', on.device).includes('deleted'),
  )
  on.mounted()
  t.same(await missing(on.root, one.stored()), [])
})

t.test(
  'R5 a bit that rots with unchanged time is seen by what reads the medium',
  needs(t, [...basic, 'debugfs'], true),
  async (t) => {
    const on = await lab(t, 'ext4')
    const one = writer(t, on.root, 'a')
    await one.reached(3)
    await one.kill('SIGTERM')
    const path = 'home/data/a/0/0'
    const right = readFileSync(join(on.root, path))
    run('sync', '-f', on.mount)
    const block = Number(run('debugfs', '-R', `bmap /colonnade/${path} 0`, on.device))
    const size = Number(/Block size: +(\d+)/.exec(run('dumpe2fs', '-h', on.device))?.[1])
    const device = openSync(on.device, 'r+')
    const byte = Buffer.alloc(1)
    readSync(device, byte, 0, 1, block * size)
    writeSync(device, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, block * size)
    fsyncSync(device)
    closeSync(device)
    const disk = nodeDisk(on.root)
    const found = disk.memory(4_096)
    const length = disk.readMedium(path, 0, found)
    t.notOk(Buffer.from(found.subarray(0, length)).equals(right))
    disk.close()
  },
)

t.test(
  '[SCRUB-1] what is read from the medium leaves nothing in the memory of the system',
  needs(t, [...basic, 'fincore'], true),
  async (t) => {
    const on = await lab(t, 'ext4')
    const one = writer(t, on.root, 'a', [], 3_000_000)
    await one.reached(4)
    await one.kill('SIGTERM')
    on.unmount()
    on.mounted()
    const paths = one.stored().map(({ stored }) => join(on.root, 'home/data', `${stored}`))
    const inMemory = (): number =>
      run('fincore', '--bytes', '--noheadings', '--output', 'RES', ...paths)
        .split('\n')
        .reduce((sum, bytes) => sum + Number(bytes), 0)
    const store = await openedHere(on.root)
    t.equal(inMemory(), 0, 'nobody has read them yet')
    for (const { stored = '', checksum } of one.stored()) {
      const [file] = await store.stored('home', [stored])
      if (!file) return t.fail(`${stored} is not stored`)
      const hash = createHash('sha256')
      for await (const bytes of store.readMedium(file)) hash.update(bytes)
      t.equal(hash.digest('hex'), checksum)
    }
    t.equal(inMemory(), 0)
    for (const path of paths) readFileSync(path)
    t.ok(inMemory() >= 4 * 3_000_000, 'as reading it otherwise does')
    await store.close()
  },
)

const nbd = [...basic, 'nbdkit', 'nbdfuse', 'fusermount3']

/** A disk of NBD as a file, for a loop device; `serve` makes what is behind it. */
function overNbd(t: Test, home: string, serve: (socket: string) => void): string {
  const [folder, socket] = [join(home, 'fuse'), join(home, 'socket')]
  mkdirSync(folder)
  serve(socket)
  run('sh', '-c', `for n in $(seq 100); do test -S ${socket} && exit; sleep 0.1; done; exit 1`)
  const fuse = spawn('nbdfuse', [join(folder, 'disk'), `nbd+unix:///?socket=${socket}`], {
    stdio: 'ignore',
  })
  t.teardown(() => void fuse.kill('SIGKILL'))
  return join(folder, 'disk')
}

/** A disk behind a program that can be stopped and killed. */
async function fragile(t: Test) {
  let server: ChildProcess | undefined
  const on = await lab(t, 'ext4', {
    backing: (home) =>
      overNbd(t, home, (socket) => {
        const image = join(home, 'image')
        run('truncate', '-s', '64M', image)
        server = spawn('nbdkit', ['-f', '-U', socket, 'file', image], { stdio: 'ignore' })
        t.teardown(() => void server?.kill('SIGKILL'))
      }),
  })
  const { pid = 0 } = server ?? {}
  t.teardown(() => void server?.kill('SIGCONT'))
  return { on, server: pid }
}

t.test(
  'R3 crash images: after any write of the disk, what was acknowledged before is there',
  needs(t, nbd, true),
  async (t) => {
    const size = 48 << 20
    const recorders: Recorder[] = []
    const on = await lab(t, 'ext4', {
      backing: (home) =>
        overNbd(t, home, (socket) => void recorders.push(recorder(t, socket, size))),
    })
    const [log] = recorders
    if (!log) throw new Error('no recorder')
    await log.mark()
    const one = writer(t, on.root, 'a')
    /** How many entries there were when it was heard. */
    const heard: number[] = []
    await until('enough is stored', async () => {
      const count = one.stored().length
      const length = await log.length()
      while (heard.length < count) heard.push(length)
      return count >= 60
    })
    await one.kill('SIGKILL')
    const all = await log.length()
    const [path, mount] = [join(on.home, 'crash'), join(on.home, 'crashed')]
    mkdirSync(mount)
    const wrong: string[] = []
    for (let n = 1; n <= images; n++) {
      const count = Math.round((all * n) / images)
      const acknowledged = one.stored().filter((_, at) => (heard[at] ?? all) <= count)
      await log.image(path, count, n)
      wrong.push(...(await missingAfter(path, mount, acknowledged)))
    }
    t.same(wrong, [])
    t.comment(`${images} images of ${all} writes and flushes`)
  },
)

t.test('R10 the disk is pulled out', needs(t, nbd, true), async (t) => {
  const { on, server } = await fragile(t)
  const one = writer(t, on.root, 'a')
  await one.reached(10)
  process.kill(server, 'SIGKILL')
  await told(t, one, /takes no more writes: E/)
  await one.kill('SIGKILL')
  t.ok(existsSync(on.mount))
})

t.test(
  'R10 a disk that hangs is told, waited for, and stalls nothing else',
  needs(t, nbd, true),
  async (t) => {
    const { on, server } = await fragile(t)
    const one = writer(t, on.root, 'a')
    await one.reached(10)
    process.kill(server, 'SIGSTOP')
    await until('people are told', () => one.news().some((text) => /has not answered/.test(text)))
    const beats = one.said.filter(({ beat }) => beat !== undefined).length
    await setTimeout(600)
    t.ok(one.said.filter(({ beat }) => beat !== undefined).length > beats, 'the program lives')
    const count = one.stored().length
    process.kill(server, 'SIGCONT')
    await one.reached(count + 10)
    t.notOk(
      one.news().some((text) => /no more writes/.test(text)),
      'and goes on',
    )
    await one.kill('SIGKILL')
    t.same(await missing(on.root, one.stored()), [])
  },
)

t.test(
  'R10 beside a disk that hangs another goes on, and nothing that was stored on either is lost',
  needs(t, nbd, true),
  async (t) => {
    const { on, server } = await fragile(t)
    const other = await lab(t, 'ext4', { volume: 'v2' })
    const one = writer(t, `${on.root}:${other.root}`, 'a')
    await one.reached(20)
    process.kill(server, 'SIGSTOP')
    await told(t, one, /volume v1 does not answer; the others go on/)
    const [count, from] = [one.stored().length, performance.now()]
    await one.reached(count + 20)
    t.comment(`20 files on the other disk in ${Math.round(performance.now() - from)} ms`)
    process.kill(server, 'SIGCONT')
    await one.reached(one.stored().length + 40)
    await one.kill('SIGTERM')
    const lost = await Promise.all([on, other].map(({ root }) => missing(root, one.stored())))
    const onNeither = lost[0]?.filter((what) => lost[1]?.includes(what))
    t.same(onNeither, [])
    t.ok(
      lost.every((some) => some.length < one.stored().length),
      'both have some',
    )
  },
)

t.test(
  'R10 a lazy unmount is told, nothing lands below, and the other disk goes on',
  needs(t, basic, true),
  async (t) => {
    const [on, other] = [await lab(t, 'ext4'), await lab(t, 'ext4', { volume: 'v2' })]
    const one = writer(t, `${on.root}:${other.root}`, 'a')
    await one.reached(20)
    on.unmount('-l')
    await told(t, one, /volume v1 is not there any more; the others go on/)
    await one.reached(one.stored().length + 20)
    t.same(readdirSync(on.mount), [])
    on.mounted()
    const there = (): number => readdirSync(join(on.root, 'home/data'), { recursive: true }).length
    const before = there()
    await until('it is written to again', () => there() > before)
    await one.kill('SIGTERM')
    const lost = await Promise.all([on, other].map(({ root }) => missing(root, one.stored())))
    t.same(
      lost[0]?.filter((what) => lost[1]?.includes(what)),
      [],
    )
  },
)
