/** One GetFile while it goes on: what is said of it meanwhile, and in the end. */
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { type Route, route } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import { type Findings, findings } from './findings.ts'
import type { Desk } from './pillar.ts'
import { contradiction } from './recent.ts'

export type GetRequest = MessageOf<'GetFileRequest'>
export type GetFinal = MessageOf<'GetFileFinalResponse'>
export type FileResult = GetFinal['files'][number]

export interface Run {
  /** The newest form of the request: a repeat may bring a newer token. */
  request: GetRequest
  readonly substance: string
  readonly route: Route
  readonly results: (FileResult | undefined)[]
  /** Bytes delivered, by place. */
  readonly at: Map<number, number>
  readonly deliveringTo: Set<string>
  readonly findings: Findings
  ended: Promise<void>
}

export const newRun = (desk: Desk, request: GetRequest, substance: string): Run => ({
  request,
  substance,
  route: route(desk.world),
  results: request.files.map(() => undefined),
  at: new Map(),
  deliveringTo: new Set(),
  findings: findings(desk, request),
  ended: Promise.resolve(),
})

export async function report(desk: Desk, run: Run, quiet: AbortSignal): Promise<void> {
  while (!quiet.aborted) {
    await desk.world.clock.sleep(limits.progressMs, quiet)
    if (!quiet.aborted) await progress(desk, run, 'OPERATION_PROGRESS')
  }
}

export function progress(desk: Desk, run: Run, code: ResponseCode): Promise<void> {
  const exp = claimsOf(run.request.transmission.token)?.exp ?? 0
  const message = compose<'GetFileProgressResponse'>(desk.world, desk.name, {
    type: 'GetFileProgressResponse',
    ...answering(run.request, desk.name, code),
    filesDone: run.results.filter((result) => result !== undefined).length,
    bytesDone: [...run.at.values()].reduce((sum, at) => sum + at, 0),
    ...(run.deliveringTo.size > 0 ? { deliveringTo: [...run.deliveringTo] } : {}),
    ...(exp * 1000 - desk.world.clock.now() < limits.skewMs ? { tokenEnds: true } : {}),
  })
  return desk.answer(run.request, message)
}

export function finalOf(desk: Desk, { request, results }: Run): GetFinal {
  const files = request.files.map(({ id }, n) => results[n] ?? { id, code: 'FAILURE' as const })
  const worst = files.find((file) => file.code !== 'OPERATION_COMPLETED')
  const code = worst?.code ?? 'OPERATION_COMPLETED'
  return compose<'GetFileFinalResponse'>(desk.world, desk.name, {
    type: 'GetFileFinalResponse',
    ...answering(request, desk.name, code, worst?.text),
    files,
  })
}

/** Another request has this conversation already. */
export function contradicted(desk: Desk, request: GetRequest): Promise<void> {
  const code = 'REQUEST_NOT_UNDERSTOOD_FAILURE'
  const text = contradiction
  const final = compose<'GetFileFinalResponse'>(desk.world, desk.name, {
    type: 'GetFileFinalResponse',
    ...answering(request, desk.name, code, text),
    files: request.files.map(({ id }) => ({ id, code, text })),
  })
  return desk.answer(request, final)
}
