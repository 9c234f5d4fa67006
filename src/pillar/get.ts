/** GetFile: any slice of any file, delivered to the exchange that the token names. A read: asked again, done again. */
import type { StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import { keyOf, substance } from '../protocol/envelope.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import { push } from '../transfer/push.ts'
import { hopsOf, type Route, route } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import { gate } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import { bytesToDeliver } from './estimate.ts'
import type { Desk } from './pillar.ts'
import { checkedSlice, Rotten } from './slice.ts'

type GetRequest = MessageOf<'GetFileRequest'>
type FileResult = MessageOf<'GetFileFinalResponse'>['files'][number]

export async function identifyGet(
  desk: Desk,
  request: MessageOf<'IdentifyPillarsForGetFileRequest'>,
): Promise<void> {
  const rows = await desk.store.stored(
    request.collection,
    request.files.map((file) => file.id),
  )
  const files = request.files.map(({ id }, n) => {
    const row = rows[n]
    return row
      ? {
          id,
          code: 'IDENTIFICATION_POSITIVE' as const,
          size: row.size,
          checksum: row.checksum,
          mtime: timeText(row.mtime),
        }
      : { id, code: 'FILE_NOT_FOUND_FAILURE' as const }
  })
  const bytes = rows.reduce((sum, row) => sum + (row?.size ?? 0), 0)
  const none = files.every((file) => file.code === 'FILE_NOT_FOUND_FAILURE')
  const answer = compose<'IdentifyPillarsForGetFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForGetFileResponse',
    ...answering(request, desk.name, none ? 'FILE_NOT_FOUND_FAILURE' : 'IDENTIFICATION_POSITIVE'),
    timeToDeliver: bytesToDeliver(bytes),
    files,
  })
  await desk.answer(request, answer)
}

interface Run {
  request: GetRequest
  readonly substance: string
  readonly route: Route
  readonly results: Map<string, FileResult>
  readonly at: Map<string, number>
  readonly deliveringTo: Set<string>
  ended: Promise<void>
}

const rememberedMax = 1_000

export function deliveries(desk: Desk) {
  const { store, world } = desk
  const running = new Map<string, Run>()
  const finals = new Map<string, { substance: string; final: MessageOf<'GetFileFinalResponse'> }>()
  const slots = gate(limits.transfersOpenMax * 2)

  async function accept(request: GetRequest): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const known = running.get(key) ?? finals.get(key)
    if (known && known.substance !== asked)
      return finish(
        request,
        'REQUEST_NOT_UNDERSTOOD_FAILURE',
        'another request had this conversation before',
      )
    if (known && 'final' in known) return desk.answer(request, known.final)
    if (known) {
      known.request = request
      return progress(known, 'OPERATION_PROGRESS')
    }
    const run: Run = {
      request,
      substance: asked,
      route: route(world),
      results: new Map(),
      at: new Map(),
      deliveringTo: new Set(),
      ended: Promise.resolve(),
    }
    running.set(key, run)
    run.ended = start(run, key).finally(() => running.delete(key))
  }

  async function start(run: Run, key: string): Promise<void> {
    await progress(run, 'OPERATION_ACCEPTED_PROGRESS')
    const quiet = new AbortController()
    const reporting = report(run, quiet.signal)
    const rows = await store
      .stored(
        run.request.collection,
        run.request.files.map((file) => file.id),
      )
      .catch(() => [])
    await Promise.all(
      run.request.files.map(async (wanted, n) => {
        const leave = await slots.enter()
        run.results.set(`${n}`, await deliver(run, wanted, n, rows[n]).finally(leave))
      }),
    )
    quiet.abort()
    await reporting
    if (desk.stopping.aborted) return
    const files = run.request.files.map(
      ({ id }, n) => run.results.get(`${n}`) ?? { id, code: 'FAILURE' as const },
    )
    const worst = files.find((file) => file.code !== 'OPERATION_COMPLETED')
    const final = compose<'GetFileFinalResponse'>(world, desk.name, {
      type: 'GetFileFinalResponse',
      ...answering(run.request, desk.name, worst?.code ?? 'OPERATION_COMPLETED', worst?.text),
      files,
    })
    finals.set(key, { substance: run.substance, final })
    for (const old of finals.keys()) {
      if (finals.size <= rememberedMax) break
      finals.delete(old)
    }
    await desk.answer(run.request, final)
  }

  async function deliver(
    run: Run,
    wanted: GetRequest['files'][number],
    place: number,
    row: StoredFile | undefined,
  ): Promise<FileResult> {
    const { id, offset = 0 } = wanted
    if (!row) return { id, code: 'FILE_NOT_FOUND_FAILURE' }
    if (wanted.checksum !== undefined && wanted.checksum !== row.checksum)
      return { id, code: 'EXISTING_FILE_CHECKSUM_FAILURE', text: 'the file here has other bytes' }
    const length = wanted.length ?? Math.max(0, row.size - offset)
    if (offset > row.size || offset + length > row.size)
      return { id, code: 'FAILURE', text: `the range ends beyond the file's ${row.size} bytes` }
    const whole = offset === 0 && length === row.size
    const done = {
      id,
      size: row.size,
      checksum: row.checksum,
      mtime: timeText(row.mtime),
      offset,
      length,
    }
    try {
      await send(run, place, length, (from) =>
        checkedSlice(world, store, row, { offset: offset + from, end: offset + length, whole }),
      )
      const partChecksum = whole ? row.checksum : await digestOfSlice(row, offset, length)
      return { ...done, code: 'OPERATION_COMPLETED', partChecksum }
    } catch (error) {
      return failed(desk, row, error)
    }
  }
  async function send(
    run: Run,
    place: number,
    length: number,
    open: (from: number) => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const claims = claimsOf(run.request.transmission.token)
    const object = claims?.obj[place]
    if (!claims || claims.iss !== run.request.from || !object)
      throw new TransferFailed('the token does not fit the request')
    await push({
      world,
      dial: desk.dial,
      route: run.route,
      signal: desk.stopping,
      size: length,
      open,
      key: { issuer: claims.iss, name: object[0] },
      token: () => run.request.transmission.token,
      hops: () => hopsOf(run.request.transmission, desk.directory)?.hops ?? [],
      waitingAt: (identity) => {
        if (run.deliveringTo.has(identity)) return
        run.deliveringTo.add(identity)
        void progress(run, 'OPERATION_PROGRESS')
      },
      progress: (at) => void run.at.set(`${place}`, at),
    })
    run.at.set(`${place}`, length)
  }
  async function digestOfSlice(row: StoredFile, offset: number, length: number): Promise<string> {
    const hasher = world.hashing.start('sha256')
    for await (const bytes of store.read(row, offset, length)) hasher.update(bytes)
    return hasher.hex()
  }
  async function report(run: Run, quiet: AbortSignal): Promise<void> {
    while (!quiet.aborted) {
      await world.clock.sleep(limits.progressMs, quiet)
      if (!quiet.aborted) await progress(run, 'OPERATION_PROGRESS')
    }
  }
  function progress(run: Run, code: ResponseCode): Promise<void> {
    const ends = (claimsOf(run.request.transmission.token)?.exp ?? 0) * 1000 - world.clock.now()
    const message = compose<'GetFileProgressResponse'>(world, desk.name, {
      type: 'GetFileProgressResponse',
      ...answering(run.request, desk.name, code),
      filesDone: run.results.size,
      bytesDone: [...run.at.values()].reduce((sum, at) => sum + at, 0),
      ...(run.deliveringTo.size > 0 ? { deliveringTo: [...run.deliveringTo] } : {}),
      ...(ends < limits.skewMs ? { tokenEnds: true } : {}),
    })
    return desk.answer(run.request, message)
  }
  function finish(request: GetRequest, code: ResponseCode, text: string): Promise<void> {
    const files = request.files.map(({ id }) => ({ id, code, text }))
    return desk.answer(
      request,
      compose<'GetFileFinalResponse'>(world, desk.name, {
        type: 'GetFileFinalResponse',
        ...answering(request, desk.name, code, text),
        files,
      }),
    )
  }

  return {
    accept,
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

function failed(desk: Desk, row: StoredFile, error: unknown): FileResult {
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof Rotten)
    desk.alarm('CHECKSUM_ALARM', text, { collection: row.collection, fileId: row.id })
  else desk.world.log.warn('get.failed', { id: row.id, why: text })
  return {
    id: row.id,
    code: error instanceof TransferFailed ? 'FILE_TRANSFER_FAILURE' : 'FAILURE',
    text,
  }
}
