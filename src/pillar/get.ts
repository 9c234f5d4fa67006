/** GetFile: any slice of any file, delivered to the exchange that the token names. A read: asked again, done again. */
import type { StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import { keyOf, substance } from '../protocol/envelope.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import { push } from '../transfer/push.ts'
import { hopsOf } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import { gate } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import {
  contradicted,
  type FileResult,
  finalOf,
  type GetFinal,
  type GetRequest,
  newRun,
  progress,
  type Run,
  report,
} from './get-run.ts'
import { notFound } from './not-found.ts'
import type { Desk } from './pillar.ts'
import { recent } from './recent.ts'
import { checkedSlice, Rotten } from './slice.ts'

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
      : { id, ...notFound(desk) }
  })
  const bytes = rows.reduce((sum, row) => sum + (row?.size ?? 0), 0)
  const none = rows.every((row) => row === undefined) && notFound(desk)
  const answer = compose<'IdentifyPillarsForGetFileResponse'>(desk.world, desk.name, {
    type: 'IdentifyPillarsForGetFileResponse',
    ...(none
      ? answering(request, desk.name, none.code, 'text' in none ? none.text : undefined)
      : answering(request, desk.name, 'IDENTIFICATION_POSITIVE')),
    timeToDeliver: desk.estimate.msFor(bytes, desk.store.sleeping?.msToRead(rows)),
    files,
  })
  await desk.answer(request, answer)
}

/** Answers that are given again to a repeat, in memory only: a read may be done again. */
const rememberedMax = 1_000

export function deliveries(desk: Desk) {
  const { store, world } = desk
  const running = new Map<string, Run>()
  const finals = recent<{ substance: string; final: GetFinal }>(rememberedMax)
  const slots = gate(limits.transfersOpenMax * 2)

  async function accept(request: GetRequest): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const known = running.get(key) ?? finals.get(key)
    if (known && known.substance !== asked) return contradicted(desk, request)
    if (known && 'final' in known) return desk.answer(request, known.final)
    if (known) {
      known.request = request
      return progress(desk, known, 'OPERATION_PROGRESS')
    }
    const run = newRun(desk, request, asked)
    running.set(key, run)
    run.ended = start(run, key).finally(() => running.delete(key))
  }

  async function start(run: Run, key: string): Promise<void> {
    await progress(desk, run, 'OPERATION_ACCEPTED_PROGRESS')
    const quiet = new AbortController()
    const reporting = report(desk, run, quiet.signal)
    const { collection, files, from } = run.request
    world.log.info('get.accepted', { from, collection, files: files.length })
    const ids = files.map((file) => file.id)
    const rows = await store.stored(collection, ids).catch(() => [])
    const all = files.map(async (wanted, place) => {
      const moved = desk.estimate.waiting(wanted.length ?? rows[place]?.size ?? 0)
      const leave = await slots.enter()
      run.results[place] = await deliver(desk, run, wanted, place, rows[place]).finally(leave)
      moved(run.at.get(place) ?? 0)
    })
    await Promise.all(all)
    quiet.abort()
    await reporting
    await run.findings.note()
    if (desk.stopping.aborted) return
    const final = finalOf(desk, run)
    finals.set(key, { substance: run.substance, final })
    await desk.answer(run.request, final)
  }

  return {
    accept,
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

async function deliver(
  desk: Desk,
  run: Run,
  wanted: GetRequest['files'][number],
  place: number,
  row: StoredFile | undefined,
): Promise<FileResult> {
  const { id, offset = 0 } = wanted
  if (!row) {
    desk.missing({ collection: run.request.collection, id })
    return { id, ...notFound(desk) }
  }
  if (wanted.checksum !== undefined && wanted.checksum !== row.checksum)
    return { id, code: 'EXISTING_FILE_CHECKSUM_FAILURE', text: 'the file here has other bytes' }
  const { size, checksum } = row
  const length = wanted.length ?? Math.max(0, size - offset)
  if (offset + length > size || offset > size)
    return { id, code: 'FAILURE', text: `the range ends beyond the file's ${size} bytes` }
  const whole = offset === 0 && length === size
  const end = offset + length
  const open = (from: number): AsyncIterable<Uint8Array> =>
    checkedSlice(desk.world, desk.store, row, { offset: offset + from, end, whole }, () =>
      run.findings.right(row),
    )
  try {
    await send(desk, run, place, length, open)
    const partChecksum = whole ? checksum : await digestOfSlice(desk, row, offset, length)
    const told = { id, size, checksum, mtime: timeText(row.mtime), offset, length }
    return { ...told, code: 'OPERATION_COMPLETED', partChecksum }
  } catch (error) {
    return failed(desk, run, row, error)
  }
}

async function send(
  desk: Desk,
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
    world: desk.world,
    dial: desk.dial,
    route: run.route,
    signal: desk.stopping,
    urgency: 'restore',
    size: length,
    open,
    key: { issuer: claims.iss, name: object[0] },
    token: () => run.request.transmission.token,
    hops: () => hopsOf(run.request.transmission, desk.directory)?.hops ?? [],
    waitingAt(identity) {
      if (run.deliveringTo.has(identity)) return
      run.deliveringTo.add(identity)
      void progress(desk, run, 'OPERATION_PROGRESS')
    },
    progress: (at) => void run.at.set(place, at),
  })
  run.at.set(place, length)
}

async function digestOfSlice(
  { world, store }: Desk,
  row: StoredFile,
  offset: number,
  length: number,
): Promise<string> {
  const hasher = world.hashing.start('sha256')
  for await (const bytes of store.read(row, offset, length)) hasher.update(bytes)
  return hasher.hex()
}

function failed(desk: Desk, run: Run, row: StoredFile, error: unknown): FileResult {
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof Rotten) run.findings.wrong(row, text)
  else desk.world.log.warn('get.failed', { id: row.id, why: text })
  return {
    id: row.id,
    code: error instanceof TransferFailed ? 'FILE_TRANSFER_FAILURE' : 'FAILURE',
    text,
  }
}
