/** What a scrub reads next. Pure: times and sizes go in, a share of the files comes out. */
import type { StoredFile } from '../index/index.ts'

export interface ScrubPlan {
  /** Files proven before this (milliseconds since 1970) are due. */
  readonly dueBefore: number
  /** Files proven before this are read whatever the share is. */
  readonly overdueBefore: number
  /** What one batch reads of files that are due. */
  readonly shareBytes: number
}

/**
 * Everything is to be read once in `periodMs`. A file is due in the second half of its period, so that each batch finds
 * about the same to do; in the last tenth it waits for nothing.
 * @param bytes of all files
 * @param batchMs from one batch to the next
 */
export function scrubPlan(
  now: number,
  { bytes, periodMs, batchMs }: { bytes: number; periodMs: number; batchMs: number },
): ScrubPlan {
  return {
    dueBefore: now - periodMs / 2,
    overdueBefore: now - periodMs * 0.9,
    shareBytes: Math.ceil((bytes * batchMs) / (periodMs / 2)),
  }
}

/** Whether this file, the least proven of those that are left, is still for this batch. */
export const isForNow = (
  { dueBefore, overdueBefore, shareBytes }: ScrubPlan,
  file: Pick<StoredFile, 'provenAt'>,
  bytesDone: number,
): boolean => file.provenAt < overdueBefore || (file.provenAt < dueBefore && bytesDone < shareBytes)
