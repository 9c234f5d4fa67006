/** One accepted PutFile while it goes on: what is said of it meanwhile, and the answer in the end. */
import type { AcceptedRequest } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import { claimsOf } from '../transfer/token.ts'
import type { Desk } from './pillar.ts'
import type { Reception, Signed } from './reception.ts'

/** Both bring bytes; one puts them in the place of others. */
export type PutRequest = MessageOf<'PutFileRequest' | 'ReplaceFileRequest'>
export type PutFinal = MessageOf<'PutFileFinalResponse' | 'ReplaceFileFinalResponse'>
export type FileResult = PutFinal['files'][number]

export interface Run extends Signed {
  readonly substance: string
  readonly receptions: Map<string, Reception>
  readonly results: Map<string, FileResult>
  /** Resolves when nothing more will happen. */
  ended: Promise<void>
}

export const newRun = (
  request: PutRequest,
  substance: string,
  signer: string | undefined,
): Run => ({
  request,
  signer,
  substance,
  receptions: new Map(),
  results: new Map(),
  ended: Promise.resolve(),
})

const waitingAtOf = (run: Run): string | undefined =>
  [...run.receptions.values()].find((one) => one.waitingAt() !== undefined)?.waitingAt()

/** Resolves when every file has come or failed; says meanwhile how far it is. */
export async function arrived(desk: Desk, run: Run): Promise<void> {
  const quiet = new AbortController()
  const reporting = report(desk, run, quiet.signal)
  const arrivals = [...run.receptions].map(async ([id, reception]) => {
    run.results.set(id, await reception.ended)
  })
  await Promise.all(arrivals)
  quiet.abort()
  await reporting
}

/** Tells how far it is, every `progressMs`, and at once when we turn to the relay: the client has to bring bytes there. */
async function report(desk: Desk, run: Run, quiet: AbortSignal): Promise<void> {
  let waitingAt: string | undefined
  for (let tick = 0; !quiet.aborted; tick++) {
    await desk.world.clock.sleep(limits.progressMs / 10, quiet)
    const now = waitingAtOf(run)
    if (!quiet.aborted && (now !== waitingAt || tick % 10 === 9))
      await progress(desk, run, 'OPERATION_PROGRESS')
    waitingAt = now
  }
}

export async function progress(desk: Desk, run: Run, code: ResponseCode): Promise<void> {
  const { collection, files } = run.request
  const bytesSafe = await desk.store.bytesSafe?.(files.map((file) => ({ ...file, collection })))
  const waitingAt = waitingAtOf(run)
  const exp = claimsOf(run.request.transmission.token)?.exp ?? 0
  const type = `${kindOf(run.request)}ProgressResponse` as const
  const message = compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(run.request, desk.name, code, closedText(desk, run)),
    filesDone: run.results.size,
    bytesDone: [...run.receptions.values()].reduce((sum, one) => sum + one.at(), 0),
    ...(bytesSafe === undefined ? {} : { bytesSafe }),
    ...(waitingAt === undefined ? {} : { waitingAt }),
    ...(exp * 1000 - desk.world.clock.now() < limits.skewMs ? { tokenEnds: true } : {}),
  })
  return desk.answer(run.request, message)
}

/** Why nothing comes, when all that is still to come waits for a window of the link. */
function closedText({ world }: Desk, { receptions, results }: Run): string | undefined {
  const open = [...receptions].flatMap(([id, one]) => (results.has(id) ? [] : [one.closedFor()]))
  const first = Math.min(...open.map((ms) => ms ?? 0))
  if (open.length === 0 || first <= 0) return undefined
  return `waits until ${timeText(world.clock.now() + first)} for the window of its link`
}

/** Keeps the final answer, then says it: a repeat of the request gets the same one, after restarts too. */
export async function concluded(
  desk: Desk,
  { request, results }: Run,
  { key, substance }: AcceptedRequest,
): Promise<void> {
  const files = request.files.map(({ id }) => results.get(id) ?? { id, code: 'FAILURE' as const })
  const worst = files.find((file) => file.code !== 'OPERATION_COMPLETED')
  const code = worst?.code ?? 'OPERATION_COMPLETED'
  const final = finalOf(desk, request, code, worst?.text, files)
  const keepUntil = timeValue(request.expiresAt) + limits.skewMs
  const answer = { substance, answer: JSON.stringify(final), keepUntil }
  try {
    await desk.store.conclude([{ do: 'answer', key, answer }])
  } catch (error) {
    desk.world.log.error('put.answerNotKept', { key, why: String(error) })
    return
  }
  await desk.answer(request, final)
}

/** A final answer that is not kept: nothing was begun. */
export function say(
  desk: Desk,
  request: PutRequest,
  code: ResponseCode,
  text: string,
): Promise<void> {
  const files = request.files.map(({ id }) => ({ id, code, text }))
  return desk.answer(request, finalOf(desk, request, code, text, files))
}

const finalOf = (
  desk: Desk,
  request: PutRequest,
  code: ResponseCode,
  text: string | undefined,
  files: FileResult[],
): PutFinal => {
  const type = `${kindOf(request)}FinalResponse` as const
  return compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, code, text),
    files,
  })
}

const kindOf = ({ type }: PutRequest): 'PutFile' | 'ReplaceFile' =>
  type === 'PutFileRequest' ? 'PutFile' : 'ReplaceFile'
