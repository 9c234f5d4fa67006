/**
 * A first file system by hand: busybox, the drivers that find the root, and a script. Debian's own tool would have to run on
 * the board's processor, which takes longer than anybody waits when it is emulated; on the board it makes its own at the next
 * kernel.
 */
import { globSync, lstatSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

export function initrd(system: string, kernel: string, modules: readonly string[]): Buffer {
  const library = `lib/modules/${kernel}`
  const files = new Map<string, { mode: number; bytes: Buffer }>()
  const add = (path: string, bytes: Buffer, mode = 0o100644): void => {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder))
      if (!files.has(folder)) files.set(folder, { mode: 0o40755, bytes: Buffer.alloc(0) })
    files.set(path, { mode, bytes })
  }
  add('bin/busybox', readFileSync(join(system, 'bin/busybox')), 0o100755)
  add('init', Buffer.from(script(modules)), 0o100755)
  for (const path of withDependencies(
    readFileSync(join(system, library, 'modules.dep'), 'utf8'),
    modules,
  ))
    add(`${library}/${path}`, readFileSync(join(system, library, path)))
  for (const name of globSync('modules.{dep,alias,softdep,symbols,builtin}', {
    cwd: join(system, library),
  }))
    if (lstatSync(join(system, library, name)).isFile())
      add(`${library}/${name}`, readFileSync(join(system, library, name)))
  const sorted = [...files].sort(([one], [two]) => (one < two ? -1 : 1))
  const parts = sorted.map(([path, { mode, bytes }], at) => entry(at + 1, path, mode, bytes))
  return gzipSync(Buffer.concat([...parts, entry(0, 'TRAILER!!!', 0, Buffer.alloc(0))]), {
    level: 9,
  })
}

/** Paths of the modules that are files, each after what it depends on. */
export function withDependencies(text: string, modules: readonly string[]): Set<string> {
  const lines = text.split('\n').map((line) => line.split(/:? +|:$/).filter((one) => one !== ''))
  const plain = (path: string): string =>
    path
      .replace(/^.*\//, '')
      .replace(/\.ko.*$/, '')
      .replaceAll('-', '_')
  const found = new Set<string>()
  for (const name of modules) {
    const [path, ...needed] = lines.find(([one]) => one && plain(one) === plain(name)) ?? []
    // What is built in is in no file.
    if (path !== undefined) for (const one of [...needed.reverse(), path]) found.add(one)
  }
  return found
}

const script = (modules: readonly string[]): string => `#!/bin/busybox sh
bb=/bin/busybox
$bb mkdir -p /proc /sys /dev /root
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
for module in ${modules.join(' ')}; do $bb modprobe -q $module 2>/dev/null; done
label=colonnade-root
for wait in 1 2 3 4 5 6 7 8 9 10 15 20 25 30; do
  device=$($bb findfs LABEL=$label 2>/dev/null) && break
  $bb sleep 1
done
$bb mount -t ext4 -o rw,noatime "$device" /root || {
  echo "there is no file system $label"
  $bb sleep 30
  echo b >/proc/sysrq-trigger
}
exec $bb switch_root /root /sbin/init
`

/** One file in the format "newc" of cpio (Linux: initramfs buffer format). */
function entry(inode: number, path: string, mode: number, bytes: Buffer): Buffer {
  const name = Buffer.from(`${path}\0`)
  const numbers = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0]
  const head = `070701${numbers.map((one) => one.toString(16).padStart(8, '0')).join('')}`
  return Buffer.concat([padded(Buffer.concat([Buffer.from(head), name])), padded(bytes)])
}

const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
