/** Files to move: of any size, never compressible, and compared byte for byte. */
import { spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export const MiB = 1024 * 1024
export const GiB = 1024 * MiB

const block = Buffer.alloc(4 * MiB)

export function bigFile(folder: string, name: string, bytes: number): string {
  mkdirSync(folder, { recursive: true })
  const file = openSync(join(folder, name), 'w')
  for (let done = 0; done < bytes; done += block.length)
    writeSync(file, randomFillSync(block), 0, Math.min(block.length, bytes - done))
  closeSync(file)
  return folder
}

export function smallFiles(folder: string, count: number, bytes: number): string {
  for (let n = 0; n < count; n++) {
    const below = join(folder, `${Math.floor(n / 100)}`)
    if (n % 100 === 0) mkdirSync(below, { recursive: true })
    writeFileSync(join(below, `${n}.bin`), randomFillSync(Buffer.alloc(bytes)))
  }
  return folder
}

/** How two folders differ; nothing when they hold the same files with the same bytes. */
export function difference(left: string, right: string): string {
  const { stdout, stderr, error } = spawnSync('diff', ['-rq', left, right], { encoding: 'utf8' })
  if (error) throw error
  return `${stdout}${stderr}`
}
