/** PutFile: identify, accept durably, receive, answer; and go on after any restart. */
import type { AcceptedRequest } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import { keyOf, parse, substance } from '../protocol/envelope.ts'
import type { MessageOf, OfferedFile } from '../protocol/messages.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { NewFile, Standing } from '../store/store.ts'
import { claimsOf } from '../transfer/token.ts'
import { digestOf } from '../world/world.ts'
import { bytesToDeliver } from './estimate.ts'
import type { Desk } from './pillar.ts'
import type { Promises } from './promises.ts'
import { type Reception, transfers } from './reception.ts'

type PutRequest = MessageOf<'PutFileRequest'>
type FileResult = MessageOf<'PutFileFinalResponse'>['files'][number]

const rowOf = (collection: string, file: OfferedFile): NewFile => ({
  collection,
  id: file.id,
  size: file.size,
  checksum: file.checksum,
  mtime: timeValue(file.mtime),
})

export async function identifyPut(
  desk: Desk,
  promised: Promises,
  request: MessageOf<'IdentifyPillarsForPutFileRequest'>,
): Promise<void> {
  const standings = await desk.store.standing(
    request.files.map((file) => rowOf(request.collection, file)),
  )
  const files = request.files.map((file, n) => {
    const standing = standings[n] ?? { is: 'other' as const }
    const free =
      standing.is !== 'welcome' || promised.promise(request.collection, file.id, file.checksum)
    return identified(file.id, free ? standing : { is: 'other' })
  })
  const trouble = desk.store.trouble()
  const code = trouble === undefined ? 'IDENTIFICATION_POSITIVE' : 'IDENTIFICATION_NEGATIVE'
  const bytes = request.files.reduce((sum, file) => sum + file.size, 0)
  const answer = compose<'IdentifyPillarsForPutFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForPutFileResponse',
    ...answering(request, desk.name, code, trouble),
    timeToDeliver: bytesToDeliver(bytes),
    files,
  })
  await desk.answer(request, answer)
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

function refused(id: string, standing: Standing, otherwise: ResponseCode): FileResult {
  if (standing.is === 'conflict')
    return { id, code: otherwise, text: `it would stand in the way of ${standing.with}` }
  if (standing.is === 'noSpace')
    return {
      id,
      code: otherwise,
      text: `no room: ${standing.bytesFree} bytes may still be promised`,
    }
  return {
    id,
    code: 'DUPLICATE_FILE_FAILURE',
    text: 'other bytes are stored or on their way under this id',
  }
}

interface Run {
  readonly request: PutRequest
  readonly substance: string
  receptions: Map<string, Reception>
  results: Map<string, FileResult>
  /** Resolves when nothing more will happen. */
  ended: Promise<void>
}

export function receptions(desk: Desk) {
  const { store, world } = desk
  const running = new Map<string, Run>()
  const shared = transfers(desk)

  async function accept(request: PutRequest, line: string): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const run = running.get(key)
    if (run) {
      if (run.substance !== asked)
        return say(
          request,
          'REQUEST_NOT_UNDERSTOOD_FAILURE',
          'another request had this conversation before',
        )
      for (const reception of run.receptions.values()) reception.renew(request)
      return progress(run, 'OPERATION_PROGRESS')
    }
    const fresh: Run = {
      request,
      substance: asked,
      receptions: new Map(),
      results: new Map(),
      ended: Promise.resolve(),
    }
    running.set(key, fresh)
    const known = await store.answer(key)
    if (known) {
      running.delete(key)
      if (known.substance !== asked)
        return say(
          request,
          'REQUEST_NOT_UNDERSTOOD_FAILURE',
          'another request had this conversation before',
        )
      return desk.answer(request, {
        ...(JSON.parse(known.answer) as MessageOf<'PutFileFinalResponse'>),
        sentAt: timeText(world.clock.now()),
      })
    }
    if (timeValue(request.expiresAt) < world.clock.now()) {
      running.delete(key)
      return say(
        request,
        'REQUEST_NOT_UNDERSTOOD_FAILURE',
        `the request had expired at ${request.expiresAt}; my clock says ${timeText(world.clock.now())}`,
      )
    }
    fresh.ended = start(fresh, { key, substance: asked, request: line }).finally(() =>
      running.delete(key),
    )
  }

  async function start(run: Run, accepted: AcceptedRequest): Promise<void> {
    const { request } = run
    const files = request.files.map((file) => rowOf(request.collection, file))
    let standings: Standing[]
    try {
      standings = await store.accept(accepted, files)
    } catch (error) {
      return say(
        request,
        'FAILURE',
        error instanceof Error ? error.message : 'the volume takes no writes',
      )
    }
    for (const [n, file] of files.entries()) {
      const standing = standings[n] ?? { is: 'other' as const }
      if (standing.is === 'welcome') run.receptions.set(file.id, shared.join(file, request, n))
      else if (standing.is === 'held')
        run.results.set(file.id, {
          id: file.id,
          code: 'OPERATION_COMPLETED',
          provenAt: timeText(standing.file.provenAt),
        })
      else run.results.set(file.id, refused(file.id, standing, 'FAILURE'))
    }
    if (run.receptions.size > 0) await progress(run, 'OPERATION_ACCEPTED_PROGRESS')
    const quiet = new AbortController()
    const reporting = report(run, quiet.signal)
    await Promise.all(
      [...run.receptions].map(
        async ([id, reception]) => void run.results.set(id, await reception.ended),
      ),
    )
    quiet.abort()
    await reporting
    shared.leave(files)
    // Stopped in the middle: the next start goes on.
    if (!desk.stopping.aborted) await conclude(run, accepted)
  }

  async function conclude(run: Run, { key, substance: asked }: AcceptedRequest): Promise<void> {
    const { request, results } = run
    const files = request.files.map(({ id }) => results.get(id) ?? { id, code: 'FAILURE' as const })
    const worst = files.find((file) => file.code !== 'OPERATION_COMPLETED')
    const final = compose<'PutFileFinalResponse'>(world, desk.name, {
      type: 'PutFileFinalResponse',
      ...answering(request, desk.name, worst?.code ?? 'OPERATION_COMPLETED', worst?.text),
      files,
    })
    const keepUntil = timeValue(request.expiresAt) + limits.skewMs
    try {
      await store.conclude([
        {
          do: 'answer',
          key,
          answer: { substance: asked, answer: JSON.stringify(final), keepUntil },
        },
      ])
    } catch (error) {
      world.log.error('put.answerNotKept', { key, why: String(error) })
      return
    }
    await desk.answer(request, final)
  }

  async function report(run: Run, quiet: AbortSignal): Promise<void> {
    let waitingAt: string | undefined
    for (let tick = 0; !quiet.aborted; tick++) {
      await world.clock.sleep(limits.progressMs / 10, quiet)
      const now = [...run.receptions.values()]
        .find((one) => one.waitingAt() !== undefined)
        ?.waitingAt()
      if (!quiet.aborted && (now !== waitingAt || tick % 10 === 9))
        await progress(run, 'OPERATION_PROGRESS')
      waitingAt = now
    }
  }
  function progress(run: Run, code: ResponseCode): Promise<void> {
    const all = [...run.receptions.values()]
    const waitingAt = all.find((one) => one.waitingAt() !== undefined)?.waitingAt()
    const ends = (claimsOf(run.request.transmission.token)?.exp ?? 0) * 1000 - world.clock.now()
    const message = compose<'PutFileProgressResponse'>(world, desk.name, {
      type: 'PutFileProgressResponse',
      ...answering(run.request, desk.name, code),
      filesDone: run.results.size,
      bytesDone: all.reduce((sum, one) => sum + one.at(), 0),
      ...(waitingAt === undefined ? {} : { waitingAt }),
      ...(ends < limits.skewMs ? { tokenEnds: true } : {}),
    })
    return desk.answer(run.request, message)
  }
  function say(request: PutRequest, code: ResponseCode, text: string): Promise<void> {
    const files = request.files.map(({ id }) => ({ id, code, text }))
    return desk.answer(
      request,
      compose<'PutFileFinalResponse'>(world, desk.name, {
        type: 'PutFileFinalResponse',
        ...answering(request, desk.name, code, text),
        files,
      }),
    )
  }

  return {
    accept,
    /** Goes on with what was accepted before the last end. */
    async resume(all: readonly AcceptedRequest[]): Promise<void> {
      for (const accepted of all) {
        const parsed = parse(new TextEncoder().encode(accepted.request))
        if (parsed.is !== 'message' || parsed.message.type !== 'PutFileRequest') continue
        const run: Run = {
          request: parsed.message,
          substance: accepted.substance,
          receptions: new Map(),
          results: new Map(),
          ended: Promise.resolve(),
        }
        running.set(accepted.key, run)
        run.ended = start(run, accepted).finally(() => running.delete(accepted.key))
      }
    },
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}
