import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { xorshift } from './random.ts'

/** A file of so many bytes that look like noise, the same for the same seed. */
export function writeNoise(path: string, size: number, seed: number): void {
  mkdirSync(dirname(path), { recursive: true })
  const next = xorshift(seed)
  const block = new Uint32Array(Math.min(262_144, Math.max(1, Math.ceil(size / 4))))
  const file = openSync(path, 'w')
  for (let at = 0; at < size; ) {
    for (let n = 0; n < block.length; n++) block[n] = next()
    const bytes = new Uint8Array(block.buffer, 0, Math.min(block.byteLength, size - at))
    at += writeSync(file, bytes)
  }
  closeSync(file)
  utimesSync(path, 1_700_000_000 + (seed % 1_000_000), 1_700_000_000 + (seed % 1_000_000))
}

export function sha256(path: string): string {
  const hash = createHash('sha256')
  const file = openSync(path, 'r')
  const buffer = Buffer.alloc(1024 * 1024)
  for (let got = readSync(file, buffer); got > 0; got = readSync(file, buffer))
    hash.update(buffer.subarray(0, got))
  closeSync(file)
  return hash.digest('hex')
}

/** Every file below a folder: its path there, its digest and its time. */
export function snapshot(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  )
  const rows = files.map((one): [string, string] => {
    const path = join(one.parentPath, one.name)
    return [relative(folder, path), `${sha256(path)} ${Math.floor(statSync(path).mtimeMs / 1000)}`]
  })
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** How many files `sha256sum -c` finds good in a bag; throws what it said when it does not pass. */
export function checkBag(bag: string): number {
  const { status, stdout, stderr } = spawnSync(
    'sha256sum',
    ['-c', '--strict', 'manifest-sha256.txt'],
    {
      cwd: bag,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  if (status !== 0) throw new Error(`sha256sum -c fails in ${bag}: ${stderr}${stdout.slice(-500)}`)
  return readFileSync(join(bag, 'manifest-sha256.txt'), 'utf8').trimEnd().split('\n').length
}
