/**
 * Listings that do not fit a message: with a result token the pillar delivers many results as one object, a line of JSON
 * each, and its final answer says how many and their digest. A read: asked again, delivered again.
 */
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import { keyOf, substance } from '../protocol/envelope.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { bytesOf, timeText } from '../protocol/scalars.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import { push } from '../transfer/push.ts'
import { hopsOf, route } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import { lock } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import { itemsOf, type ListRequest, list, listingFinal, queryOf } from './listings.ts'
import type { Desk } from './pillar.ts'
import { contradiction, recent } from './recent.ts'

type Final = MessageOf<'GetFileIDsFinalResponse'>

interface Run {
  /** The newest form of the request: a repeat may bring a newer token. */
  request: ListRequest
  readonly substance: string
  readonly deliveringTo: Set<string>
  ended: Promise<void>
}

const rememberedMax = 100

export function results(desk: Desk) {
  const { world, stopping } = desk
  const running = new Map<string, Run>()
  const finals = recent<{ substance: string; final: Final }>(rememberedMax)
  // Each may fill memory up to `resultBytesMax`.
  const oneAtATime = lock()

  async function accept(request: ListRequest): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const known = running.get(key) ?? finals.get(key)
    if (known && known.substance !== asked)
      return desk.answer(
        request,
        listingFinal(desk, request, 'REQUEST_NOT_UNDERSTOOD_FAILURE', { text: contradiction }),
      )
    if (known && 'final' in known) return desk.answer(request, known.final)
    if (known) {
      known.request = request
      return progress(desk, known)
    }
    if (!request.transmission || request.fileIds) return list(desk, request)
    const ended = Promise.resolve()
    const run: Run = { request, substance: asked, deliveringTo: new Set(), ended }
    running.set(key, run)
    run.ended = start(run, key).finally(() => running.delete(key))
  }
  async function start(run: Run, key: string): Promise<void> {
    const quiet = new AbortController()
    const reporting = report(run, quiet.signal)
    const final = await oneAtATime(() => deliver(desk, run)).catch((error) => {
      const text = error instanceof Error ? error.message : String(error)
      world.log.info('results.failed', { why: text })
      const code = error instanceof TransferFailed ? 'FILE_TRANSFER_FAILURE' : 'FAILURE'
      return listingFinal(desk, run.request, code, { text })
    })
    quiet.abort()
    await reporting
    if (stopping.aborted) return
    if (final.responseInfo.code === 'OPERATION_COMPLETED')
      finals.set(key, { substance: run.substance, final })
    await desk.answer(run.request, final)
  }
  async function report(run: Run, quiet: AbortSignal): Promise<void> {
    while (!quiet.aborted) {
      await world.clock.sleep(limits.progressMs, AbortSignal.any([quiet, stopping]))
      if (stopping.aborted) return
      if (!quiet.aborted) await progress(desk, run)
    }
  }
  return {
    accept,
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

/** As many results as one object takes, on their way; the final answer once they are there. */
async function deliver(desk: Desk, run: Run): Promise<Final> {
  const { request } = run
  const page = await desk.store.list(queryOf(request, limits.resultItemsMax))
  const lines: string[] = []
  let size = 0
  for (const item of await itemsOf(desk, request, page.files)) {
    const line = `${JSON.stringify(item)}\n`
    size += bytesOf(line)
    if (size > limits.resultBytesMax && lines.length > 0) break
    lines.push(line)
  }
  const last = page.files[lines.length - 1]
  const bytes = new TextEncoder().encode(lines.join(''))
  await send(desk, run, bytes)
  const partialResult = page.partial || lines.length < page.files.length
  const text = desk.store.away?.()
  return listingFinal(desk, request, 'OPERATION_COMPLETED', {
    ...(text === undefined ? {} : { text }),
    result: { items: lines.length, size: bytes.length, checksum: digestOf(desk.world, bytes) },
    partialResult,
    ...(last && partialResult
      ? { after: { timestamp: timeText(last.timestamp), id: last.id } }
      : {}),
  })
}

async function send(desk: Desk, run: Run, bytes: Uint8Array): Promise<void> {
  const { transmission, from } = run.request
  const claims = claimsOf(transmission?.token ?? '')
  const object = claims?.obj[0]
  if (!claims || claims.iss !== from || !object)
    throw new TransferFailed('the token does not fit the request')
  if (bytes.length === 0) return
  async function* open(offset: number): AsyncGenerator<Uint8Array> {
    yield bytes.slice(offset)
  }
  await push({
    world: desk.world,
    dial: desk.dial,
    route: route(desk.world),
    signal: desk.stopping,
    urgency: 'restore',
    size: bytes.length,
    open,
    key: { issuer: claims.iss, name: object[0] },
    token: () => run.request.transmission?.token ?? '',
    hops: () => {
      const { transmission } = run.request
      return (transmission && hopsOf(transmission, desk.directory)?.hops) ?? []
    },
    waitingAt(identity) {
      if (run.deliveringTo.has(identity)) return
      run.deliveringTo.add(identity)
      void progress(desk, run)
    },
  })
}

function progress(desk: Desk, { request, deliveringTo }: Run): Promise<void> {
  const type = request.type.replace(/Request$/, 'ProgressResponse') as 'GetFileIDsProgressResponse'
  const message = compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, 'OPERATION_PROGRESS'),
    ...(deliveringTo.size > 0 ? { deliveringTo: [...deliveringTo] } : {}),
  })
  return desk.answer(request, message)
}
