/** One volume with very many small files: its start, what it costs in memory, recovery after SIGKILL, a lost index. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openIndex } from '../../src/index/sqlite.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { systemWorld } from '../../src/system/world.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

const together = 10_000

interface Said {
  readonly openMs?: number
  readonly statusMs?: number
  readonly files?: number
  readonly rssAnon?: number
  readonly writing?: true
  readonly inspectMs?: number
}

export const million: Measurement = async ({ scale, nodeOptions }) => {
  const rows: string[][] = []
  const note = (what: string, said: Said): void => {
    const { openMs = 0, statusMs = 0, rssAnon } = said
    const about = said.inspectMs === undefined ? `${statusMs} ms` : ''
    rows.push([what, inSeconds(said.inspectMs ?? openMs), about, inMiB(rssAnon)])
  }
  for (const count of [1_000_000 * scale, 100_000 * scale]) {
    const home = mkdtempSync(join(tmpdir(), 'colonnade-million-'))
    const root = join(home, 'colonnade')
    try {
      tell(`make ${count} files`)
      await make(root, count)
      const first = await opened(root, nodeOptions, 'look')
      tell(`first start, which writes the lists: ${JSON.stringify(first)}`)
      note(`start with ${count} files`, (await opened(root, nodeOptions, 'look'))[0] ?? {})
      const inspected = await opened(root, nodeOptions, 'inspect')
      note(`inspection of ${count} files`, inspected.at(-1) ?? {})
      tell('kill it while it stores')
      await opened(root, nodeOptions, 'write')
      note(
        `start after SIGKILL, ${count} files`,
        (await opened(root, nodeOptions, 'look'))[0] ?? {},
      )
      for (const end of ['', '-wal']) rmSync(join(root, `.index.sqlite${end}`), { force: true })
      note(
        `start without index, ${count} files`,
        (await opened(root, nodeOptions, 'look'))[0] ?? {},
      )
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  }
  return markdown(['one volume, files of 1 kB', 'time', 'files and free space', 'RssAnon'], rows)
}

/** Files, and rows that say so: storing them one by one would measure that. */
async function make(root: string, count: number): Promise<void> {
  mkdirSync(root, { recursive: true })
  const world = systemWorld('p1', 'silent')
  const { disk, close } = await openVolumeThread({ root })
  await adoptVolume(world, disk, { pillar: 'p1', archive: 'a1', volume: 'v1' })
  await close()
  const index = openIndex(join(root, '.index.sqlite'))
  const made = new Set<string>()
  for (let at = 0; at < count; at += together)
    index.commit(
      Array.from({ length: Math.min(together, count - at) }, (_, n) => {
        const checksum = createHash('sha256')
          .update(`${at + n}`)
          .digest('hex')
        const bytes = Buffer.from(checksum.repeat(16))
        const id = `${checksum.slice(0, 2)}/${checksum.slice(2, 4)}/${at + n}.txt`
        const path = join(root, 'home/data', id)
        if (!made.has(dirname(path))) mkdirSync(dirname(path), { recursive: true })
        made.add(dirname(path))
        writeFileSync(path, bytes)
        const sum = createHash('sha256').update(bytes).digest('hex')
        const about = { collection: 'home', id, path: id, size: bytes.length, checksum: sum }
        const now = 1_790_000_000_000
        return { do: 'store', file: { ...about, mtime: now, provenAt: now }, now } as const
      }),
    )
  index.close()
}

/** What it said until it ended; one that writes is killed in the middle. */
async function opened(
  root: string,
  nodeOptions: readonly string[],
  what: 'look' | 'write' | 'inspect',
): Promise<Said[]> {
  const script = join(import.meta.dirname, 'opener.ts')
  const child = spawn(process.execPath, [...nodeOptions, script, root, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (some: string) => {
    text += some
    if (some.includes('writing')) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}
