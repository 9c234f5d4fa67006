/**
 * Which volume of a pillar a row is of, told by its place in the order of changes: the number of the volume stands above the
 * sequence. The first volume has the number 0, so that its rows are as they would be alone.
 */
import type { StoredFile } from '../index/index.ts'
import type { Doomed } from './store.ts'

/** No volume comes to so many changes, and a number holds 8 192 volumes beside. */
const slotSpan = 2 ** 40

export const slotOf = (sequence: number): number => Math.floor(sequence / slotSpan)
export const withSlot = (slot: number, sequence: number): number => sequence + slot * slotSpan
const withoutSlot = (sequence: number): number => sequence % slotSpan

type Placed = Pick<StoredFile, 'sequence'>

export const marked = <Row extends Placed>(slot: number, row: Row): Row =>
  slot === 0 ? row : { ...row, sequence: withSlot(slot, row.sequence) }
export const unmarked = <Row extends Placed>(row: Row): Row =>
  slotOf(row.sequence) === 0 ? row : { ...row, sequence: withoutSlot(row.sequence) }

/** What no file has ever been. */
const noVersion = -1
/** A version for this volume; one that was seen on another fits nothing. */
export const versionFor = <Seen extends Pick<Doomed, 'version'>>(slot: number, seen: Seen): Seen =>
  slot === 0 && slotOf(seen.version) === 0
    ? seen
    : { ...seen, version: slotOf(seen.version) === slot ? withoutSlot(seen.version) : noVersion }
