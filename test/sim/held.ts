import type { PutItem } from '../../src/client/put.ts'
import type { Board } from '../../src/sim/fleet.ts'

/** How many of these it has, row and bytes. */
export async function held(
  { index, disk }: Board,
  items: readonly (PutItem & { readonly bytes: Uint8Array })[],
): Promise<number> {
  const rows = await index.stored(
    'home',
    items.map(({ id }) => id),
  )
  const files = disk.snapshot()
  return items.filter((item, n) => {
    const bytes = files.get(`home/data/${rows[n]?.path}`)
    return rows[n]?.checksum === item.checksum && bytes && Buffer.from(bytes).equals(item.bytes)
  }).length
}
