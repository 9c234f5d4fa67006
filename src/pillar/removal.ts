/** DeleteFile and RestoreRetained: guarded by the checksum and the version that the caller has seen; safe to say twice. */
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import { keyOf, substance } from '../protocol/envelope.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { Actor, Removed, Restored } from '../store/store.ts'
import { digestOf } from '../world/world.ts'
import { notFound } from './not-found.ts'
import type { Desk } from './pillar.ts'
import { stillness } from './power.ts'
import { contradiction } from './recent.ts'

type DeleteRequest = MessageOf<'DeleteFileRequest'>
type RestoreRequest = MessageOf<'RestoreRetainedRequest'>
type RemovalRequest = DeleteRequest | RestoreRequest
type Final = MessageOf<'DeleteFileFinalResponse' | 'RestoreRetainedFinalResponse'>
type FileResult = Final['files'][number]

const wrongChecksum = 'the file here has another checksum'

export async function identifyDelete(
  desk: Desk,
  request: MessageOf<'IdentifyPillarsForDeleteFileRequest'>,
): Promise<void> {
  const { collection } = request
  const ids = request.files.map(({ id }) => id)
  const rows = await desk.store.stored(collection, ids)
  const versions = await desk.store.versions(collection, ids)
  const files = request.files.map(({ id, checksum }, n) => {
    const [row, version] = [rows[n], versions[n]]
    if (!row || version === undefined) return { id, ...notFound(desk) }
    // Which one is right is not told: it is for whoever deletes to know what he deletes.
    if (row.checksum !== checksum)
      return { id, code: 'EXISTING_FILE_CHECKSUM_FAILURE' as const, text: wrongChecksum }
    return { id, code: 'IDENTIFICATION_POSITIVE' as const, version }
  })
  const wanted = files.filter(({ code }) => code === 'IDENTIFICATION_POSITIVE').length
  const wish = { by: request.from, collection, files: wanted, kind: 'change' as const }
  const trouble = stillness(desk) ?? (await desk.floors.objection(wish))
  const worst = files.find(({ code }) => code !== 'IDENTIFICATION_POSITIVE')?.code
  const code =
    trouble === undefined ? (worst ?? 'IDENTIFICATION_POSITIVE') : 'IDENTIFICATION_NEGATIVE'
  const answer = compose<'IdentifyPillarsForDeleteFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForDeleteFileResponse',
    ...answering(request, desk.name, code, trouble),
    timeToDeliver: 0,
    files,
  })
  await desk.answer(request, answer)
}

const removedCodes: Record<Removed, [ResponseCode, text?: string]> = {
  removed: ['OPERATION_COMPLETED'],
  absent: ['FILE_NOT_FOUND_FAILURE'],
  otherBytes: ['EXISTING_FILE_CHECKSUM_FAILURE', wrongChecksum],
  newer: ['FAILURE', 'the file was stored or confirmed again since this version was seen'],
}
const restoredCodes: Record<Restored, [ResponseCode, text?: string]> = {
  stored: ['OPERATION_COMPLETED'],
  absent: ['FILE_NOT_FOUND_FAILURE', 'such bytes are not kept aside here'],
  otherBytes: ['DUPLICATE_FILE_FAILURE', 'other bytes stand, or are coming, in its place'],
  damaged: ['FAILURE', 'the bytes kept aside are damaged'],
}

/** Deletes and takes back; each request once, however often it is said. */
export function removals(desk: Desk) {
  const { store, world } = desk
  const running = new Map<string, { readonly substance: string; readonly ended: Promise<void> }>()

  async function accept(request: RemovalRequest, signer: string): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const known = running.get(key)
    if (known) {
      if (known.substance !== asked) return refuse(desk, request, contradiction)
      return progress(desk, request, 'OPERATION_PROGRESS', 0)
    }
    const ended = work(request, key, asked, signer)
      .catch((error) => world.log.error('removal.failed', { key, why: String(error) }))
      .finally(() => running.delete(key))
    running.set(key, { substance: asked, ended })
  }
  async function work(
    request: RemovalRequest,
    key: string,
    asked: string,
    signer: string,
  ): Promise<void> {
    const answered = await store.answer(key)
    if (answered && answered.substance !== asked) return refuse(desk, request, contradiction)
    const now = timeText(world.clock.now())
    if (answered)
      return desk.answer(request, { ...(JSON.parse(answered.answer) as Final), sentAt: now })
    if (timeValue(request.expiresAt) < world.clock.now())
      return refuse(
        desk,
        request,
        `the request had expired at ${request.expiresAt}; my clock says ${now}`,
      )
    if (!request.to?.includes(desk.name))
      return refuse(desk, request, 'such a request names its pillars')
    await progress(desk, request, 'OPERATION_ACCEPTED_PROGRESS', 0)
    const final = finalOf(desk, request, await results(desk, request, signer))
    const keepUntil = timeValue(request.expiresAt) + limits.skewMs
    const answer = { substance: asked, answer: JSON.stringify(final), keepUntil }
    try {
      await store.conclude([{ do: 'answer', key, answer }])
    } catch (error) {
      // Said again, it is found done.
      world.log.error('removal.answerNotKept', { key, why: String(error) })
    }
    await desk.answer(request, final)
  }
  return {
    accept,
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map(({ ended }) => ended))),
  }
}

async function results(desk: Desk, request: RemovalRequest, key: string): Promise<FileResult[]> {
  const { from: actor, conversation, auditTrailInformation: information } = request
  const by = { actor, conversation, key, ...(information === undefined ? {} : { information }) }
  const done: FileResult[] = []
  const beyond = await countedOut(desk, request)
  let told = desk.world.clock.monotonic()
  for (const file of request.files) {
    if (desk.stopping.aborted) break
    const why = beyond.get(file.id)
    done.push(
      why === undefined
        ? await one(desk, request.collection, file, by)
        : { id: file.id, code: 'FAILURE', text: why },
    )
    if (desk.world.clock.monotonic() - told < limits.progressMs) continue
    told = desk.world.clock.monotonic()
    await progress(desk, request, 'OPERATION_PROGRESS', done.length)
  }
  const rest = request.files.slice(done.length)
  return [...done, ...rest.map(({ id }) => ({ id, code: 'FAILURE' as const, text: 'stopping' }))]
}

/** Counts what would go, before it does; those that are too many, and why. */
async function countedOut(
  desk: Desk,
  request: RemovalRequest,
): Promise<ReadonlyMap<string, string>> {
  if (request.type !== 'DeleteFileRequest' || stillness(desk) !== undefined) return new Map()
  const { collection, from, files } = request
  const ids = files.map(({ id }) => id)
  const rows = await desk.store.stored(collection, ids)
  const going = ids.filter((_, n) => rows[n] && rows[n].checksum === files[n]?.checksum)
  const wish = { by: from, collection, files: going.length, kind: 'change' as const }
  const { granted, why = '' } = await desk.floors.spend(wish)
  return new Map(going.slice(granted).map((id) => [id, why]))
}

async function one(
  desk: Desk,
  collection: string,
  file: RemovalRequest['files'][number],
  by: Actor,
): Promise<FileResult> {
  const { id, checksum } = file
  const still = stillness(desk)
  if (still !== undefined) return { id, code: 'FAILURE', text: still }
  try {
    const [code, text] =
      'version' in file
        ? removedCodes[await desk.store.remove({ collection, ...file }, by)]
        : restoredCodes[await desk.store.restore(collection, id, checksum, by)]
    if (text === restoredCodes.damaged[1])
      desk.alarm('CHECKSUM_ALARM', `${text}: ${id}`, { collection, fileId: id })
    return { id, code, ...(text === undefined ? {} : { text }) }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    desk.world.log.error('removal.failed', { collection, id, why: text })
    return { id, code: 'FAILURE', text }
  }
}

function finalOf(desk: Desk, request: RemovalRequest, files: FileResult[]): Final {
  const worst = files.find((file) => file.code !== 'OPERATION_COMPLETED')
  const about = answering(request, desk.name, worst?.code ?? 'OPERATION_COMPLETED', worst?.text)
  return request.type === 'DeleteFileRequest'
    ? compose<'DeleteFileFinalResponse'>(desk.world, desk.name, {
        type: 'DeleteFileFinalResponse',
        ...about,
        files,
      })
    : compose<'RestoreRetainedFinalResponse'>(desk.world, desk.name, {
        type: 'RestoreRetainedFinalResponse',
        ...about,
        files,
      })
}

/** A final answer that is not kept: nothing was begun. */
function refuse(desk: Desk, request: RemovalRequest, text: string): Promise<void> {
  const code = 'REQUEST_NOT_UNDERSTOOD_FAILURE'
  const files = request.files.map(({ id }) => ({ id, code, text }) as const)
  return desk.answer(request, finalOf(desk, request, files))
}

function progress(
  desk: Desk,
  request: RemovalRequest,
  code: ResponseCode,
  filesDone: number,
): Promise<void> {
  const type =
    request.type === 'DeleteFileRequest'
      ? ('DeleteFileProgressResponse' as const)
      : ('RestoreRetainedProgressResponse' as const)
  const message: AnswerMessage = compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, code),
    filesDone,
  })
  return desk.answer(request, message)
}
