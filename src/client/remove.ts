/** Deleting files from pillars, what was deleted, and bringing it back. */
import { limits } from '../limits.ts'
import { compose, expiryText } from '../post/compose.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import { askOne } from './ask.ts'
import { type Client, Unable } from './client.ts'
import { identify } from './identify.ts'
import { common, type ListQuery, pages } from './pages.ts'

/** A file by its id and the bytes that it is known to have. */
export interface Exact {
  readonly id: string
  readonly checksum: string
}

/** What became of one file on one pillar. */
export interface Done {
  readonly pillar: string
  readonly id: string
  readonly is: 'done' | 'absent' | 'refused' | 'silent'
  /** Why it was refused. */
  readonly why?: string
}

/** Long enough for clocks that differ; nothing is deleted after it, however late the request comes. */
export const expiry = (client: Client) => ({ expiresAt: expiryText(client.world, limits.skewMs) })

/**
 * Deletes one file from the pillars that are named, and from no other. Nothing is deleted anywhere unless each of them
 * has answered first that it has these very bytes, or does not have the file any more. `order`: signed by two people, where
 * the collection asks for that.
 */
export async function remove(
  client: Client,
  collection: string,
  file: Exact,
  pillars: readonly string[],
  signal: AbortSignal,
  order?: string,
): Promise<Done[]> {
  const { id } = file
  const request = compose<'IdentifyPillarsForDeleteFileRequest'>(client.world, client.name, {
    type: 'IdentifyPillarsForDeleteFileRequest',
    ...common(client, collection),
    ...expiry(client),
    to: [...pillars],
    files: [{ id, checksum: file.checksum }],
  })
  const answers = await identify(client, request, pillars, signal)
  const seen = pillars.map((pillar) => stand(pillar, id, answers.get(pillar)))
  const hindered = seen.filter(({ is }) => is === 'refused' || is === 'silent')
  if (hindered.length > 0) return hindered.map(({ version: _, ...done }) => done)
  const done: Done[] = []
  // One after the other: who stops half-way has lost no more copies than he has seen.
  for (const { pillar, is, version } of seen) {
    if (is === 'absent' || version === undefined) done.push({ pillar, id, is: 'absent' })
    else {
      const seen = { ...file, version }
      done.push(await removeFrom(client, { collection, order }, seen, pillar, signal))
    }
  }
  return done
}

/** What a pillar says of the file before anything is done; without a version there is nothing to do. */
export function stand(
  pillar: string,
  id: string,
  answer: AnswerMessage | undefined,
): Done & { readonly version?: number } {
  if (!answer) return { pillar, id, is: 'silent' }
  if (
    answer.type !== 'IdentifyPillarsForDeleteFileResponse' &&
    answer.type !== 'IdentifyPillarsForReplaceFileResponse'
  )
    return { pillar, id, is: 'refused', why: reasonOf(answer.responseInfo) }
  const [one] = answer.files
  if (one?.code === 'OPERATION_COMPLETED') return { pillar, id, is: 'done' }
  if (one?.code === 'FILE_NOT_FOUND_FAILURE') return { pillar, id, is: 'absent' }
  // A pillar in trouble says no to all, whatever it knows of the file.
  const unable = answer.responseInfo.code === 'IDENTIFICATION_NEGATIVE'
  if (!unable && one?.code === 'IDENTIFICATION_POSITIVE' && one.version !== undefined)
    return { pillar, id, is: 'done', version: one.version }
  return { pillar, id, is: 'refused', why: reasonOf(!unable && one ? one : answer.responseInfo) }
}

export const reasonOf = ({
  code,
  text,
}: {
  readonly code: string
  readonly text?: string | undefined
}) => text ?? code

async function removeFrom(
  client: Client,
  { collection, order }: { readonly collection: string; readonly order: string | undefined },
  file: Exact & { readonly version: number },
  pillar: string,
  signal: AbortSignal,
): Promise<Done> {
  const request = compose<'DeleteFileRequest'>(client.world, client.name, {
    type: 'DeleteFileRequest',
    ...common(client, collection),
    ...expiry(client),
    to: [pillar],
    files: [{ id: file.id, checksum: file.checksum, version: file.version }],
    ...(order === undefined ? {} : { order }),
  })
  const [done] = await asked(client, pillar, [file], request, signal)
  return done ?? { pillar, id: file.id, is: 'silent' }
}

/** Brings deleted files back on one pillar. */
export async function restore(
  client: Client,
  collection: string,
  pillar: string,
  files: readonly Exact[],
  signal: AbortSignal,
): Promise<Done[]> {
  const done: Done[] = []
  for (let at = 0; at < files.length; at += restoredMax) {
    const some = files.slice(at, at + restoredMax)
    const request = compose<'RestoreRetainedRequest'>(client.world, client.name, {
      type: 'RestoreRetainedRequest',
      ...common(client, collection),
      ...expiry(client),
      to: [pillar],
      files: some.map(({ id, checksum }) => ({ id, checksum })),
    })
    done.push(...(await asked(client, pillar, some, request, signal)))
  }
  return done
}

/** So few that their ids, however long, fit a message. */
const restoredMax = 20

async function asked(
  client: Client,
  pillar: string,
  files: readonly Exact[],
  request: MessageOf<'DeleteFileRequest' | 'RestoreRetainedRequest'>,
  signal: AbortSignal,
): Promise<Done[]> {
  const answer = await askOne(client, pillar, request, signal).catch((error) => {
    if (error instanceof Unable) return undefined
    throw error
  })
  return files.map(({ id }): Done => {
    if (!answer) return { pillar, id, is: 'silent' }
    const told = 'files' in answer ? answer.files.find((one) => one.id === id) : undefined
    const { code, text } = told ?? answer.responseInfo
    if (code === 'OPERATION_COMPLETED') return { pillar, id, is: 'done' }
    if (code === 'FILE_NOT_FOUND_FAILURE') return { pillar, id, is: 'absent' }
    return { pillar, id, is: 'refused', why: text ?? code }
  })
}

/** A file that was deleted from a pillar. */
export interface Deleted extends Exact {
  readonly pillar: string
  readonly size: number
  /** Milliseconds since 1970. */
  readonly mtime: number
  readonly removedAt: number
  /** Until then it can be brought back; undefined when it can not be any more. */
  readonly keptUntil?: number
}

/** What was deleted from one pillar, page by page, oldest first; rejects with `Unable` when it stays silent. */
export async function* deleted(
  client: Client,
  collection: string,
  pillar: string,
  query: ListQuery,
  signal: AbortSignal,
): AsyncGenerator<Deleted> {
  const listed = { collection, pillar, query, signal }
  for await (const { items } of pages(client, 'GetTombstones', listed))
    for (const { id, checksum, size, mtime, removedAt, keptUntil } of items)
      yield {
        ...{ pillar, id, checksum, size },
        mtime: timeValue(mtime),
        removedAt: timeValue(removedAt),
        ...(keptUntil === undefined ? {} : { keptUntil: timeValue(keptUntil) }),
      }
}
