/** Files of a volume that nobody has put: storing very many one by one would measure that. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openIndex } from '../../src/index/sqlite.ts'

const together = 10_000

/** `count` files of 1 kB in the collection `home`, and rows that say so. The lists of the bag follow with the next start. */
export function layFiles(root: string, count: number): void {
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
