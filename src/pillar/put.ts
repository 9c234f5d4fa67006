/** PutFile: identify, accept durably, receive, answer; and go on after any restart. */
import type { AcceptedRequest } from '../index/index.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { Identity } from '../protocol/document.ts'
import { keyOf, parse, substance } from '../protocol/envelope.ts'
import type { Message, MessageOf } from '../protocol/messages.ts'
import type { OfferedFile } from '../protocol/parts.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { NewFile, Replaced, Standing } from '../store/store.ts'
import { lock } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import { type Findings, findings } from './findings.ts'
import { notFound } from './not-found.ts'
import type { Desk } from './pillar.ts'
import { refusalOf } from './power.ts'
import type { Promises } from './promises.ts'
import { proving } from './prove-held.ts'
import {
  arrived,
  concluded,
  type FileResult,
  newRun,
  type PutFinal,
  type PutRequest,
  progress,
  type Run,
  say,
} from './put-run.ts'
import { contradiction } from './recent.ts'
import { transfers } from './reception.ts'

type Offered = OfferedFile & { readonly replaces?: Replaced }

const rowOf = (collection: string, file: Offered): NewFile => ({
  collection,
  id: file.id,
  size: file.size,
  checksum: file.checksum,
  mtime: timeValue(file.mtime),
  ...(file.replaces ? { replaces: file.replaces } : {}),
})

export async function identifyPut(
  desk: Desk,
  promised: Promises,
  request: MessageOf<'IdentifyPillarsForPutFileRequest'>,
  role: Identity['role'],
): Promise<void> {
  const buried = role === 'tracker' ? await buriedOf(desk, request) : new Set<string>()
  const standings = await desk.store.standing(
    request.files.map((file) => rowOf(request.collection, file)),
  )
  const refusal = refusalOf(desk)
  const files = request.files.map((file, n) => {
    if (buried.has(file.id))
      return { id: file.id, code: 'FILE_NOT_FOUND_FAILURE' as const, text: 'it was deleted here' }
    const standing = standings[n] ?? { is: 'other' as const }
    if (standing.is === 'welcome' && refusal !== undefined)
      return { id: file.id, code: 'IDENTIFICATION_NEGATIVE' as const, text: refusal }
    const free =
      standing.is !== 'welcome' || promised.promise(request.collection, file.id, file.checksum)
    // Confirmed only when its bytes have been read: that is for the request to perform.
    if (request.prove && standing.is === 'held' && desk.store.kind === 'file')
      return {
        id: file.id,
        code: 'IDENTIFICATION_POSITIVE' as const,
        provenAt: timeText(standing.file.provenAt),
      }
    return identified(file.id, free ? standing : { is: 'other' })
  })
  const code = refusal === undefined ? 'IDENTIFICATION_POSITIVE' : 'IDENTIFICATION_NEGATIVE'
  const bytes = request.files.reduce((sum, file) => sum + file.size, 0)
  const answer = compose<'IdentifyPillarsForPutFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForPutFileResponse',
    ...answering(request, desk.name, code, refusal),
    timeToDeliver: desk.estimate.msFor(bytes, desk.store.sleeping?.msToWrite(standings)),
    files,
  })
  await desk.answer(request, answer)
}

/** Files that were deleted here with these very bytes: a service that repairs is not to bring them back, a person may. */
async function buriedOf(
  { store }: Desk,
  { collection, files }: MessageOf<'IdentifyPillarsForPutFileRequest'>,
): Promise<Set<string>> {
  const sums = new Map(files.map(({ id, checksum }) => [id, checksum]))
  const ids = [...sums.keys()]
  const { tombstones } = await store.tombstones({ collection, ids, limit: ids.length })
  return new Set(tombstones.flatMap(({ id, checksum }) => (sums.get(id) === checksum ? [id] : [])))
}

function identified(
  id: string,
  standing: Standing,
): MessageOf<'IdentifyPillarsForPutFileResponse'>['files'][number] {
  switch (standing.is) {
    case 'welcome':
      return { id, code: 'IDENTIFICATION_POSITIVE' }
    case 'held':
      return { id, code: 'OPERATION_COMPLETED', provenAt: timeText(standing.file.provenAt) }
    default:
      return refused(id, standing, 'IDENTIFICATION_NEGATIVE')
  }
}

/** What a pillar has under the id, and may be replaced; or why it may not. */
export async function identifyReplace(
  desk: Desk,
  promised: Promises,
  request: MessageOf<'IdentifyPillarsForReplaceFileRequest'>,
): Promise<void> {
  const { collection } = request
  const versions = await desk.store.versions(
    collection,
    request.files.map(({ id }) => id),
  )
  const rows = request.files.map(({ replaces, ...file }, n) =>
    rowOf(collection, { ...file, replaces: { ...replaces, version: versions[n] ?? 0 } }),
  )
  const standings = await desk.store.standing(rows)
  const files = request.files.map(({ id, checksum, replaces }, n) => {
    const standing = standings[n] ?? { is: 'other' as const }
    if (standing.is === 'absent') return { ...refused(id, standing, 'FAILURE'), ...notFound(desk) }
    if (standing.is !== 'welcome') return identified(id, standing)
    if (!promised.promise(collection, id, checksum, replaces.checksum))
      return identified(id, { is: 'other' })
    return { id, code: 'IDENTIFICATION_POSITIVE' as const, version: versions[n] }
  })
  const wanted = files.filter(({ code }) => code === 'IDENTIFICATION_POSITIVE').length
  const wish = { by: request.from, collection, files: wanted, kind: 'change' as const }
  const trouble = refusalOf(desk) ?? (await desk.floors.objection(wish))
  const bytes = request.files.reduce((sum, file) => sum + file.size, 0)
  const code = trouble === undefined ? 'IDENTIFICATION_POSITIVE' : 'IDENTIFICATION_NEGATIVE'
  const answer = compose<'IdentifyPillarsForReplaceFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForReplaceFileResponse',
    ...answering(request, desk.name, code, trouble),
    timeToDeliver: desk.estimate.msFor(bytes, desk.store.sleeping?.msToWrite(standings)),
    files,
  })
  await desk.answer(request, answer)
}

function refused(id: string, standing: Standing, otherwise: ResponseCode): FileResult {
  const unfit = unfits[standing.is]
  if (unfit) return { id, code: unfit[0], text: unfit[1] }
  if (standing.is === 'conflict')
    return { id, code: otherwise, text: `it would stand in the way of ${standing.with}` }
  if (standing.is === 'noSpace')
    return {
      id,
      code: otherwise,
      text: standing.why ?? `no room: ${standing.bytesFree} bytes may still be promised`,
    }
  return {
    id,
    code: 'DUPLICATE_FILE_FAILURE',
    text: 'other bytes are stored or on their way under this id',
  }
}

/** Why a file can not be replaced; which checksum would be right is not told. */
const unfits: Partial<Record<Standing['is'], [ResponseCode, text: string]>> = {
  absent: ['FILE_NOT_FOUND_FAILURE', 'there is nothing to replace'],
  otherBytes: ['EXISTING_FILE_CHECKSUM_FAILURE', 'the file here has another checksum'],
  newer: ['FAILURE', 'the file was stored or confirmed again since this version was seen'],
}

export function receptions(desk: Desk) {
  const { store, world } = desk
  const running = new Map<string, Run>()
  const shared = transfers(desk)

  async function accept(request: PutRequest, line: string, signer: string): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const run = running.get(key)
    if (run) {
      if (run.substance !== asked) return misunderstood(request, contradiction)
      for (const reception of run.receptions.values()) reception.renew({ request, signer })
      return progress(desk, run, 'OPERATION_PROGRESS')
    }
    // Entered before anything is waited for: a repeat that comes meanwhile must find it.
    const fresh = newRun(request, asked, signer)
    running.set(key, fresh)
    const answered = await answerAtOnce(request, key, asked)
    if (answered) running.delete(key)
    else go(fresh, { key, substance: asked, request: line, signer })
  }

  /** An answer that was given before, or that needs no work. */
  async function answerAtOnce(request: PutRequest, key: string, asked: string): Promise<boolean> {
    const known = await store.answer(key)
    const now = timeText(world.clock.now())
    if (known && known.substance !== asked) await misunderstood(request, contradiction)
    else if (known) {
      const final = JSON.parse(known.answer) as PutFinal
      await desk.answer(request, { ...final, sentAt: now })
    } else {
      const unfit = objection(desk, request) ?? (await tooMany(desk, request))
      if (!unfit) return false
      await say(desk, request, ...unfit)
    }
    return true
  }
  const misunderstood = (request: PutRequest, why: string): Promise<void> =>
    say(desk, request, 'REQUEST_NOT_UNDERSTOOD_FAILURE', why)

  function go(run: Run, accepted: AcceptedRequest): void {
    running.set(accepted.key, run)
    run.ended = start(run, accepted).finally(() => running.delete(accepted.key))
  }

  async function start(run: Run, accepted: AcceptedRequest): Promise<void> {
    const { request } = run
    const files = request.files.map((file) => rowOf(request.collection, file))
    let standings: Standing[]
    try {
      standings = await store.accept(accepted, files)
    } catch (error) {
      const why = error instanceof Error ? error.message : 'the volume takes no writes'
      return say(desk, request, 'FAILURE', why)
    }
    const seen = findings(desk, request, run.signer)
    for (const [n, file] of files.entries())
      begin(file, standings[n] ?? { is: 'other' as const }, run, n, seen)
    if (run.receptions.size > 0) await progress(desk, run, 'OPERATION_ACCEPTED_PROGRESS')
    await arrived(desk, run)
    await seen.note()
    shared.leave(files)
    // Stopped in the middle: the next start goes on.
    if (!desk.stopping.aborted) await concluded(desk, run, accepted)
  }

  /** Brings what is welcome, and hashes what is here, if that is wished. */
  const begin = beginning(desk, shared)

  return {
    accept,
    /** Goes on with what was accepted before the last end. */
    async resume(all: readonly AcceptedRequest[]): Promise<void> {
      for (const accepted of all) {
        const parsed = parse(new TextEncoder().encode(accepted.request))
        if (parsed.is !== 'message' || !isPut(parsed.message) || running.has(accepted.key)) continue
        go(newRun(parsed.message, accepted.substance, accepted.signer), accepted)
      }
    },
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

/** Why a new request is not begun. One that was accepted goes on as far as the power does. */
function objection(desk: Desk, request: PutRequest): [ResponseCode, text: string] | undefined {
  const code = 'REQUEST_NOT_UNDERSTOOD_FAILURE'
  const { supply, world, name } = desk
  const now = world.clock.now()
  if (timeValue(request.expiresAt) < now)
    return [code, `the request had expired at ${request.expiresAt}; my clock says ${timeText(now)}`]
  if (request.type === 'ReplaceFileRequest' && !request.to?.includes(name))
    return [code, 'such a request names its pillars']
  const { refusal } = supply.plan()
  return refusal === undefined ? undefined : ['FILE_TRANSFER_FAILURE', refusal]
}

/** Counted is each file when it takes the place of another; what is too many by now is not even fetched. */
async function tooMany(
  desk: Desk,
  request: PutRequest,
): Promise<[ResponseCode, text: string] | undefined> {
  if (request.type !== 'ReplaceFileRequest') return undefined
  const { collection, from, files } = request
  const ids = files.map(({ id }) => id)
  const rows = await desk.store.stored(collection, ids)
  const going = files.filter(({ checksum }, n) => rows[n]?.checksum !== checksum)
  const wish = { by: from, collection, files: going.length, kind: 'change' as const }
  const why = await desk.floors.objection(wish)
  return why === undefined ? undefined : ['FAILURE', why]
}

function beginning(desk: Desk, shared: ReturnType<typeof transfers>) {
  const turn = lock()
  return (file: NewFile, standing: Standing, run: Run, place: number, seen: Findings): void => {
    const { request } = run
    const prove = 'prove' in request && request.prove && desk.store.kind === 'file'
    if (standing.is === 'welcome') run.receptions.set(file.id, shared.join(file, run, place))
    else if (standing.is === 'held' && prove)
      run.receptions.set(file.id, proving(desk, standing.file, seen, turn))
    else run.results.set(file.id, atOnce(file.id, standing))
  }
}

const isPut = (message: Message): message is PutRequest =>
  message.type === 'PutFileRequest' || message.type === 'ReplaceFileRequest'

const atOnce = (id: string, standing: Standing): FileResult =>
  standing.is === 'held'
    ? { id, code: 'OPERATION_COMPLETED', provenAt: timeText(standing.file.provenAt) }
    : refused(id, standing, 'FAILURE')
