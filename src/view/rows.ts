import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Fragment } from '../protocol/fragments.ts'
import type { HolderSet, Sets } from './sets.ts'
import type { KnownFragment } from './view.ts'

export const blobOf = (hash: string): Uint8Array => Buffer.from(hash, 'hex')
export const hexOf = (blob: unknown): string => {
  if (!(blob instanceof Uint8Array)) throw new Error('a hash is a blob')
  return Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength).toString('hex')
}

const kinds: readonly Fragment['kind'][] = ['slice', 'info']
export const kindNumber = (kind: Fragment['kind']): number => kinds.indexOf(kind)

/** A row of fragments, whose holders are those of its set. */
export interface FragmentRow extends Fragment {
  readonly wanted: number
  readonly unwantedSince: number | undefined
  readonly set: HolderSet
}

export const fragmentColumns = 'hash, size, kind, wanted, unwanted_since, holders'

/** A statement over `fragmentColumns`; its rows are arrays, which cost half of what objects do. */
export function fragmentStatement(database: DatabaseSync, where: string): StatementSync {
  const statement = database.prepare(`SELECT ${fragmentColumns} FROM fragments ${where}`)
  statement.setReturnArrays(true)
  return statement
}

export function fragmentRow(row: unknown, sets: Sets): FragmentRow {
  const [hash, size, kind, wanted, since, holders] = row as SQLOutputValue[]
  return {
    hash: hexOf(hash),
    size: Number(size),
    kind: kinds[Number(kind)] ?? 'slice',
    wanted: Number(wanted),
    unwantedSince: since === null ? undefined : Number(since),
    set: sets.get(Number(holders)),
  }
}

export const knownOf = ({ unwantedSince, set, ...rest }: FragmentRow): KnownFragment => ({
  ...rest,
  ...(unwantedSince === undefined ? {} : { unwantedSince }),
  holders: set.holders,
})

/** Of one slice: its hash, its size in 6 bytes, its kind in one. */
const sliceBytes = 32 + 6 + 1

export function packSlices(slices: readonly Fragment[]): Uint8Array {
  const packed = Buffer.alloc(slices.length * sliceBytes)
  for (const [n, { hash, size, kind }] of slices.entries()) {
    packed.write(hash, n * sliceBytes, 'hex')
    packed.writeUIntBE(size, n * sliceBytes + 32, 6)
    packed.writeUInt8(kindNumber(kind), n * sliceBytes + 38)
  }
  return packed
}

export function slicesOf(blob: unknown): Fragment[] {
  if (!(blob instanceof Uint8Array)) throw new Error('slices are a blob')
  const packed = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  return Array.from({ length: packed.length / sliceBytes }, (_, n) => ({
    hash: packed.toString('hex', n * sliceBytes, n * sliceBytes + 32),
    size: packed.readUIntBE(n * sliceBytes + 32, 6),
    kind: kinds[packed.readUInt8(n * sliceBytes + 38)] ?? 'slice',
  }))
}
