/**
 * Checksums that the index does not have, by any algorithm, salted or not: computed from the stored bytes when they are
 * asked for. A read: remembered in memory only, and computed again when it was forgotten.
 */
import type { StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import { hasherFor, isIndexed, specFault } from '../protocol/checksums.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import { keyOf, substance } from '../protocol/envelope.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { bytesOf, timeText } from '../protocol/scalars.ts'
import { lock } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import { type Findings, findings } from './findings.ts'
import { idBytes, missingOf, queryOf } from './listings.ts'
import type { Desk } from './pillar.ts'
import { contradiction, recent } from './recent.ts'

type SumsRequest = MessageOf<'GetChecksumsRequest'>
type SumsFinal = MessageOf<'GetChecksumsFinalResponse'>
type Item = SumsFinal['items'][number]
type Failed = NonNullable<SumsFinal['failed']>[number]

interface Run {
  /** The newest form of the request: a repeat may name another place for the answer. */
  request: SumsRequest
  readonly substance: string
  filesDone: number
  bytesDone: number
  ended: Promise<void>
}

/** Answers that are given again to a repeat; each may fill a message. */
const rememberedMax = 100

/** What an item or a failure takes of a message beside its id, at the most. */
const bytesBeside = 320
const filesPerPage = Math.floor(limits.pageBytesMax / bytesBeside)
const failureTextMax = 120

/** The bytes of a file are not what was stored, or can not be had. */
class Unproven extends Error {
  override readonly name = 'Unproven'
}

/** `listed` answers what the index has. */
export function proofs(desk: Desk, listed: (request: SumsRequest) => Promise<void>) {
  const { world, stopping } = desk
  const running = new Map<string, Run>()
  const finals = recent<{ substance: string; final: SumsFinal }>(rememberedMax)
  // The disk is one: two computations at a time would only be in each other's way.
  const oneAtATime = lock()
  /** When bytes were read last, for whomever: who waits is told so only while something moves. */
  let movedAt = 0
  const moved = (): void => {
    movedAt = world.clock.monotonic()
  }
  /** A disk that hangs is not told as progress for ever: then the client gives us up. */
  const stalled = (): boolean => world.clock.monotonic() - movedAt > limits.transferStallMs

  async function accept(request: SumsRequest): Promise<void> {
    const { checksumSpec: spec } = request
    const key = keyOf(request)
    const asked = digestOf(world, substance(request))
    const known = running.get(key) ?? finals.get(key)
    if (known && known.substance !== asked)
      return refuse(desk, request, 'REQUEST_NOT_UNDERSTOOD_FAILURE', contradiction)
    if (known && 'final' in known) return desk.answer(request, known.final)
    if (known) {
      known.request = request
      if (stalled()) return
      return progress(desk, known, 'OPERATION_PROGRESS')
    }
    const fault = spec && specFault(spec)
    if (fault) return refuse(desk, request, fault.code, fault.text)
    if (isIndexed(spec)) return listed(request)
    if (running.size >= limits.computationsMax)
      return refuse(desk, request, 'FAILURE', 'too many checksums are being computed here already')
    const ended = Promise.resolve()
    const run: Run = { request, substance: asked, filesDone: 0, bytesDone: 0, ended }
    if (running.size === 0) moved()
    running.set(key, run)
    run.ended = start(run, key).finally(() => running.delete(key))
  }

  async function start(run: Run, key: string): Promise<void> {
    const quiet = new AbortController()
    const reporting = report(run, quiet.signal)
    await progress(desk, run, 'OPERATION_ACCEPTED_PROGRESS')
    const final = await oneAtATime(() => compute(desk, run, moved)).catch((error) => {
      const text = error instanceof Error ? error.message : String(error)
      world.log.warn('checksums.failed', { why: text })
      return finalOf(desk, run.request, 'FAILURE', { text })
    })
    quiet.abort()
    await reporting
    if (!final) return
    // What failed as a whole may succeed the next time.
    if (final.responseInfo.code !== 'FAILURE') finals.set(key, { substance: run.substance, final })
    await desk.answer(run.request, final)
  }

  async function report(run: Run, quiet: AbortSignal): Promise<void> {
    const { clock } = world
    while (!quiet.aborted) {
      await clock.sleep(limits.progressMs, AbortSignal.any([quiet, stopping]))
      if (stopping.aborted || stalled()) return
      if (!quiet.aborted) await progress(desk, run, 'OPERATION_PROGRESS')
    }
  }

  return {
    accept,
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

/** One page: as many files as may be read and told; undefined when the pillar stops. */
async function compute(desk: Desk, run: Run, moved: () => void): Promise<SumsFinal | undefined> {
  const { request } = run
  const rows = await desk.store.list(queryOf(request, filesPerPage))
  const items: Item[] = []
  const failed: Failed[] = []
  const seen = findings(desk, request)
  let last: StoredFile | undefined
  let told = idBytes(request)
  for (const file of rows.files) {
    told += bytesOf(JSON.stringify(file.id)) + bytesBeside
    const full = told > limits.pageBytesMax || run.bytesDone + file.size > limits.computedBytesMax
    if (full && last) break
    const one = await prove(desk, run, file, moved, seen)
    if (!one) return undefined
    if ('checksum' in one) items.push(one)
    else failed.push(one)
    run.filesDone++
    last = file
  }
  await seen.note()
  const partialResult = rows.partial || run.filesDone < rows.files.length
  const { code, missing } = await missingOf(desk, request)
  const text = desk.store.away?.()
  return finalOf(desk, request, code, {
    ...(text === undefined ? {} : { text }),
    items,
    partialResult,
    ...(last && partialResult
      ? { after: { timestamp: timeText(last.timestamp), id: last.id } }
      : {}),
    ...(missing ? { missing } : {}),
    ...(failed.length > 0 ? { failed } : {}),
  })
}

/** The checksum of one file, or why there is none; undefined when the pillar stops. */
async function prove(
  desk: Desk,
  run: Run,
  file: StoredFile,
  moved: () => void,
  seen: Findings,
): Promise<Item | Failed | undefined> {
  const { id, collection } = file
  try {
    const checksum = await checked(desk, run, file, moved)
    if (checksum === undefined) return undefined
    seen.right(file)
    const provenAt = timeText(desk.world.clock.now())
    return { id, timestamp: timeText(file.timestamp), checksum, provenAt }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const text = error instanceof Unproven ? why : `the stored bytes can not be read: ${why}`
    const [now] = await desk.store.stored(collection, [id])
    // Others may have changed or removed it while we read: that is no damage.
    if (now?.checksum === file.checksum) seen.wrong(file, text.slice(0, failureTextMax))
    return { id, code: 'FAILURE', text: text.slice(0, failureTextMax) }
  }
}

/** Computed only from bytes that are those that were stored: rejects otherwise. */
async function checked(
  { world, store, stopping }: Desk,
  run: Run,
  file: StoredFile,
  moved: () => void,
): Promise<string | undefined> {
  const stored = world.hashing.start('sha256')
  const wanted = hasherFor(world, run.request.checksumSpec ?? { algorithm: 'SHA-256' })
  for await (const bytes of store.read(file, 0, file.size)) {
    if (stopping.aborted) return undefined
    stored.update(bytes)
    wanted.update(bytes)
    run.bytesDone += bytes.length
    moved()
  }
  if (stored.hex() !== file.checksum) throw new Unproven('the stored bytes are damaged')
  return wanted.hex()
}

function finalOf(
  desk: Desk,
  request: SumsRequest,
  code: ResponseCode,
  found: Partial<SumsFinal> & { readonly text?: string },
): SumsFinal {
  const { text, ...rest } = found
  const { checksumSpec } = request
  return compose<'GetChecksumsFinalResponse'>(desk.world, desk.name, {
    type: 'GetChecksumsFinalResponse',
    ...answering(request, desk.name, code, text),
    ...(checksumSpec && !specFault(checksumSpec) ? { checksumSpec } : {}),
    items: [],
    partialResult: false,
    ...rest,
  })
}

const refuse = (desk: Desk, request: SumsRequest, code: ResponseCode, text: string) =>
  desk.answer(request, finalOf(desk, request, code, { text }))

function progress(desk: Desk, run: Run, code: ResponseCode): Promise<void> {
  const message = compose<'GetChecksumsProgressResponse'>(desk.world, desk.name, {
    type: 'GetChecksumsProgressResponse',
    ...answering(run.request, desk.name, code),
    filesDone: run.filesDone,
    bytesDone: run.bytesDone,
  })
  return desk.answer(run.request, message)
}
