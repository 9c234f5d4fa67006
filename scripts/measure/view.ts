/** The tracker's view of a million fragments: how long it takes to fill, to ask and to open, and in how much memory. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fragment } from '../../src/protocol/fragments.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { View, ViewChange } from '../../src/view/view.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

const collection = 'home'
const boards = 20
const fragmentBytes = 4 * 1024 * 1024
/** Of one file, and of one transaction. */
const filed = 250

const slice = (n: number): Fragment => ({
  hash: createHash('sha256').update(`${n}`).digest('hex'),
  size: fragmentBytes,
  kind: 'slice',
})
const pillar = (n: number): string => `pillar-${n % boards}`
const all = Array.from({ length: boards }, (_, n) => pillar(n))

export const view: Measurement = async ({ scale }) => {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-view-'))
  try {
    return await measured(join(home, 'view.sqlite'), Math.round(1_000_000 * scale))
  } finally {
    rmSync(home, { recursive: true })
  }
}

async function measured(path: string, count: number): Promise<string> {
  const rows: string[][] = []
  const timed = async <T>(what: string, work: () => Promise<T> | T): Promise<T> => {
    const begun = performance.now()
    const result = await work()
    const ms = performance.now() - begun
    const took = ms < 1_000 ? `${ms.toFixed(1)} ms` : inSeconds(ms)
    rows.push([what, took, inMiB(process.memoryUsage.rss())])
    return result
  }
  const first = await timed('open a new one', () => openView(path))
  tell(`${count} fragments, 2 holders each of ${boards}`)
  await timed('fill it', () => fill(first, count))
  await queries(first, timed)
  await first.close()
  const again = await timed('open it again', () => openView(path))
  await queries(again, timed)
  await again.close()
  rows.push(['its file', inMiB(statSync(path).size), ''])
  return markdown([`${count} fragments × 2 of ${boards} holders`, 'takes', 'memory'], rows)
}

async function fill(view: View, count: number): Promise<void> {
  for (let n = 0; n < count; n += filed) {
    const slices = Array.from({ length: Math.min(filed, count - n) }, (_, m) => slice(n + m))
    const checksum = createHash('sha256').update(`file ${n}`).digest('hex')
    const file = { collection, checksum, size: slices.length * fragmentBytes }
    const held = slices.flatMap((fragment, m): ViewChange[] =>
      [m, m + 1 + ((n / filed) % (boards - 1))].map((who) => ({
        do: 'hold',
        collection,
        fragment,
        pillar: pillar(who),
        stage: 'persisted',
      })),
    )
    await view.change([{ do: 'file', file, slices }, ...held])
  }
}

async function queries(
  view: View,
  timed: <T>(what: string, work: () => Promise<T>) => Promise<T>,
): Promise<void> {
  const limit = 256
  const scarce = (pillars: readonly string[], below: number, after?: string) =>
    view.fragments({ collection, limit, scarce: { pillars, below }, ...(after ? { after } : {}) })
  await timed('scarce: none is', () => scarce(all, 2))
  const without = all.slice(1)
  const page = await timed('scarce: one board is gone', () => scarce(without, 2))
  await timed('scarce: the page after', () => scarce(without, 2, page.at(-1)?.hash))
  await timed('scarce: every one is', () => scarce(all, 3))
  await timed('how many copies there are of how many', () => view.histogram(collection, without))
  await timed('digest of what one board holds', () => view.holding(collection, pillar(0)))
  await timed('holders of 256', () =>
    view.holders(
      collection,
      Array.from({ length: limit }, (_, n) => slice(n * 7).hash),
    ),
  )
}
