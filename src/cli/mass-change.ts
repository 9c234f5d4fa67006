/** A command that would change very many files stops before the first: somebody else may have changed them, for ransom say. */
import { type Known, statuses } from '../client/list.ts'
import { limits } from '../limits.ts'
import { compose, uuid7 } from '../post/compose.ts'
import { massAllowed, massLimit } from '../protocol/mass-changes.ts'
import { confirmed } from './asked.ts'
import type { Desk } from './desk.ts'
import { Complaint, exitCodes, many } from './output.ts'

/** So few need not be counted. */
const isFew = (files: number): boolean => files <= limits.massFilesMin

/** How many files would take the place of others; those of which size and time say nothing are read. */
export async function changedAmong<F extends { readonly id: string; readonly size: number }>(
  found: readonly F[],
  remote: ReadonlyMap<string, Known>,
  isSame: (file: F, there: Known) => boolean,
  sumOf: (file: F) => Promise<string>,
): Promise<number> {
  const doubtful = found.flatMap((file) => {
    const there = remote.get(file.id)
    return there && (there.others || !isSame(file, there)) ? [{ file, there }] : []
  })
  if (isFew(doubtful.length)) return doubtful.length
  let changed = 0
  for (const { file, there } of doubtful) {
    // One that can not be read now counts as one that has changed.
    const sum = there.size === file.size && (await sumOf(file).catch(() => undefined))
    if (there.others || sum !== there.checksum) changed++
  }
  return changed
}

/**
 * Throws a complaint unless so many files of the collection may be replaced, and are meant to be: by the owner's leave, and by
 * a yes at the terminal or by their number (`typed`). Pillars count the same, and believe no command.
 */
export async function stopMassChange(
  desk: Desk,
  collection: string,
  files: number,
  typed: number | undefined,
): Promise<void> {
  if (isFew(files)) return
  const { client, out, signal } = desk
  const told = await statuses(client, collection, signal)
  const known = Math.max(0, ...[...told.values()].map((status) => status?.files ?? 0))
  const usual = massLimit(known)
  if (files <= usual) return
  const { world, name, directory } = client
  const leave = massAllowed(directory.document(), name, collection, world.clock.now())
  const sentence = `${many(files, 'file')} of the ${known} in ${collection} would be replaced; nothing was changed`
  if (files <= leave && typed !== undefined && files <= typed) return
  await cry(desk, collection, `put on ${name}: ${sentence}`)
  if (files > leave)
    throw new Complaint(
      sentence,
      exitCodes.failed,
      `look at these files first; if it is meant, the owner allows it: \`colonnade collection allow ${collection} --member ${name} --changes ${files}\``,
    )
  out.warn(`${many(files, 'file')} of the ${known} in ${collection} would be replaced`)
  const yes = await confirmed('Replace all of them?', signal)
  if (yes) return
  throw new Complaint(
    sentence,
    exitCodes.failed,
    `look at these files first; \`--changes ${files}\` replaces them without a question`,
  )
}

async function cry({ client }: Desk, collection: string, alarmText: string): Promise<void> {
  const { world, name, line, topics } = client
  const alarm = compose<'Alarm'>(world, name, {
    ...{ type: 'Alarm', conversation: uuid7(world), collection },
    ...{ alarmCode: 'FAILED_OPERATION', alarmText },
  })
  await line.post().send(topics.alarms(), alarm)
}
