/** One volume with very many small files: its start, what it costs in memory, recovery after SIGKILL, a lost index. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adoptVolume } from '../../src/store/identity.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { systemWorld } from '../../src/system/world.ts'
import { layFiles } from '../../test/support/laid.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

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
      forgetIndex(root)
      const anew = (await opened(root, nodeOptions, 'look'))[0] ?? {}
      note(`start without index, ${count} files`, anew)
      forgetIndex(root)
      tell('kill it while it makes the index anew')
      await opened(root, nodeOptions, 'look', (anew.openMs ?? 0) / 2)
      note(
        'the start after SIGKILL in the middle of that',
        (await opened(root, nodeOptions, 'look'))[0] ?? {},
      )
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  }
  return markdown(['one volume, files of 1 kB', 'time', 'files and free space', 'RssAnon'], rows)
}

async function make(root: string, count: number): Promise<void> {
  mkdirSync(root, { recursive: true })
  const world = systemWorld('p1', 'silent')
  const { disk, close } = await openVolumeThread({ root })
  await adoptVolume(world, disk, { pillar: 'p1', archive: 'a1', volume: 'v1' })
  await close()
  layFiles(root, count)
}

function forgetIndex(root: string): void {
  for (const end of ['', '-wal']) rmSync(join(root, `.index.sqlite${end}`), { force: true })
}

/** What it said until it ended; one that writes is killed in the middle, and any after `killMs` when given. */
async function opened(
  root: string,
  nodeOptions: readonly string[],
  what: 'look' | 'write' | 'inspect',
  killMs?: number,
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
  const late = killMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killMs)
  await once(child, 'close')
  clearTimeout(late)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}
