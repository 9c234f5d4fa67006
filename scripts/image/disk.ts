/** A card as one file: a partition table, a FAT partition that every computer shows, and the system. No root is needed. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

const mib = 1024 * 1024
const bootMib = 256

export interface Card {
  readonly image: string
  /** Contents of the FAT partition, and of the root. */
  readonly boot: string
  readonly system: string
  readonly rootMib: number
}

export function makeCard({ image, boot, system, rootMib }: Card): void {
  const fat = `${image}.boot`
  const root = `${image}.root`
  sized(fat, bootMib)
  run('mkfs.vfat', ['-F', '32', '-n', 'COLONNADE', fat])
  const contents = readdirSync(boot).map((name) => join(boot, name))
  if (contents.length > 0) run('mcopy', ['-s', '-i', fat, ...contents, '::'])
  sized(root, rootMib)
  run('mke2fs', ['-q', '-t', 'ext4', '-L', 'colonnade-root', '-d', system, root])
  sized(image, 1 + bootMib + rootMib + 1)
  const table = `label: dos\nstart=1MiB, size=${bootMib}MiB, type=c, bootable\nstart=${1 + bootMib}MiB, type=83\n`
  execFileSync('sfdisk', ['--quiet', image], { input: table, stdio: ['pipe', 'ignore', 'inherit'] })
  copyInto(image, fat, 1)
  copyInto(image, root, 1 + bootMib)
  rmSync(fat)
  rmSync(root)
}

/** The bytes of the FAT partition of a card. */
export function bootPartitionOf(image: string): Buffer {
  const bytes = Buffer.alloc(bootMib * mib)
  const card = openSync(image, 'r')
  try {
    readSync(card, bytes, 0, bytes.length, mib)
  } finally {
    closeSync(card)
  }
  return bytes
}

export function sized(path: string, size: number): void {
  writeFileSync(path, '')
  truncateSync(path, size * mib)
}

function copyInto(image: string, part: string, atMib: number): void {
  run('dd', [
    `if=${part}`,
    `of=${image}`,
    'bs=1M',
    `seek=${atMib}`,
    'conv=notrunc,sparse',
    'status=none',
  ])
}

function run(program: string, args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
