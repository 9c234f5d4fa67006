/** Listing a million ids: what the index gives inside the pillar, and what the command line sees of it end to end. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { openIndex, type SyncIndex } from '../../src/index/sqlite.ts'
import { inBox, pillars } from './box.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

export const pageIds = 10_000
const collection = 'solo'

export const listing: Measurement = async ({ scale, nodeOptions }) => {
  const count = 1_000_000 * scale
  const rows: string[][] = []
  const founded = (home: string): void => {
    const index = openIndex(join(home, 'volumes', pillars[0], 'colonnade', '.index.sqlite'))
    tell(`note ${count} files`)
    fill(index, count)
    for (const turn of ['first', 'second']) rows.push(walked(index, `in the index, ${turn} time`))
    index.close()
  }
  await inBox(
    nodeOptions,
    async ({ step }) => {
      tell('list them by the command line')
      const { ms, usage } = await step('ls', collection, '--json')
      const of = usage[pillars[0]]
      rows.push([
        'by `colonnade ls --json`, with sizes and checksums',
        inSeconds(ms),
        perSecond(count, ms),
        perSecond(count, of?.processorMs ?? 0),
        inMiB(of?.peak),
      ])
    },
    founded,
  )
  const head = ['ids/s', 'ids/s of CPU in the pillar', 'peak memory of the pillar']
  return markdown([`${count} files`, 'time', ...head], rows)
}

const perSecond = (count: number, ms: number): string =>
  `${(count / Math.max(1, ms)).toFixed(0)} 000`

export function fill(index: SyncIndex, count: number): void {
  for (let at = 0; at < count; at += pageIds)
    index.commit(
      Array.from({ length: Math.min(pageIds, count - at) }, (_, n) => {
        const id = `pictures/2026/${String(at + n).padStart(7, '0')}.jpg`
        const checksum = createHash('sha256').update(id).digest('hex')
        const about = { collection, id, path: id, size: 1_234_567, checksum }
        const now = 1_790_000_000_000
        return { do: 'store', file: { ...about, mtime: now - at - n, provenAt: now }, now } as const
      }),
    )
}

/** All pages, one after the other, as a pillar reads them; milliseconds of all, and of the slowest. */
export function walk(index: SyncIndex) {
  const began = performance.now()
  let count = 0
  let peak = 0
  let pageMs = 0
  let after: { timestamp: number; id: string } | undefined
  do {
    const begun = performance.now()
    const page = index.list({ collection, limit: pageIds, ...(after ? { after } : {}) })
    count += page.files.length
    after = page.partial ? page.files.at(-1) : undefined
    pageMs = Math.max(pageMs, performance.now() - begun)
    peak = Math.max(peak, process.memoryUsage().rss)
  } while (after)
  return { count, peak, pageMs, ms: performance.now() - began }
}

function walked(index: SyncIndex, what: string): string[] {
  const cpu = process.cpuUsage()
  const { count, peak, ms } = walk(index)
  const { user, system } = process.cpuUsage(cpu)
  const cpuMs = (user + system) / 1000
  return [what, inSeconds(ms), perSecond(count, ms), perSecond(count, cpuMs), inMiB(peak)]
}
