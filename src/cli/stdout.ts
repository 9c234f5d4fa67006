/** `colonnade get … -o -`: one file, or a part of one, straight to whoever reads our standard output. */
import { fragmentFetcher } from '../client/fragments/fetch.ts'
import { memoryMosaic } from '../client/fragments/memory.ts'
import { getBatch } from '../client/get.ts'
import type { Known } from '../client/list.ts'
import type { Landing } from '../exchange/bench.ts'
import type { Run } from './get.ts'
import { Complaint, exitCodes, idText } from './output.ts'
import type { Slice } from './restore.ts'

/**
 * Resolves with what went wrong. What was written can not be taken back: the digest of a whole file is known at its
 * end only, and says then by the exit code whether the bytes were right.
 */
export async function toStandardOutput(run: Run): Promise<Complaint | undefined> {
  const { desk, collection, files, slice, summary, options } = run
  const [known] = files
  if (!known) return undefined
  const { id, checksum, size } = known
  const wanted = slice?.length ?? size
  if (wanted > 0 && piecesOf(run) !== undefined) {
    const why = await inPieces(run, known, { offset: slice?.offset ?? 0, length: wanted })
    if (why !== undefined) {
      summary.failed++
      return new Complaint(`${idText(id)}: ${why}`, exitCodes.failed)
    }
  } else if (wanted > 0) {
    const stop = new AbortController()
    const landing = streaming(run, slice ? undefined : checksum, () => stop.abort())
    const item = { id, checksum, size: wanted, landing, ...(slice ?? {}) }
    const signal = AbortSignal.any([desk.signal, stop.signal])
    const pillar = options.pillar === undefined ? {} : { pillar: options.pillar }
    const [result] = await getBatch(desk.client, collection, [item], { signal, ...pillar }).catch(
      (error) => {
        if (!stop.signal.aborted) throw error
        return []
      },
    )
    if (result?.outcome !== 'fetched') {
      summary.failed++
      const why = result?.why ?? 'the bytes that came are not those of the file'
      return new Complaint(`${idText(id)}: ${why}`, exitCodes.failed)
    }
    if (result.pillar !== undefined) summary.from.set(result.pillar, 1)
  }
  summary.fetched++
  summary.bytes += wanted
  return undefined
}

/** Held in memory at a time, and while it is written the same again. */
const heldBytes = 32 * 1024 * 1024

/** Bytes of the fragments, where so many of them are fetched at a time as memory holds; larger ones come by the tracker. */
function piecesOf({ desk, collection, options }: Run): number | undefined {
  const bytes = desk.client.directory.collection(collection)?.fragments?.bytes
  return options.pillar === undefined && bytes !== undefined && bytes <= heldBytes
    ? bytes
    : undefined
}

/** Whole fragments, some at a time, while those before are written; why it went wrong, if it did. */
async function inPieces(run: Run, known: Known, slice: Slice): Promise<string | undefined> {
  const { desk, collection, summary } = run
  const { client, out } = desk
  const [keeper = ''] = client.policy(collection).pillars
  const pieces = fragmentFetcher(client, collection, keeper)
  const stop = new AbortController()
  const signal = AbortSignal.any([desk.signal, stop.signal])
  const complain = (_: string, text: string): void => out.warn(text)
  const step = Math.floor(heldBytes / (piecesOf(run) ?? heldBytes)) * (piecesOf(run) ?? heldBytes)
  const end = slice.offset + slice.length
  const begin = (offset: number) => {
    const length = Math.min(end, (Math.floor(offset / step) + 1) * step) - offset
    const { mosaic, bytes } = memoryMosaic(offset, length)
    const { id, size, checksum } = known
    const item = { id, size, checksum, offset, length, mosaic }
    const fetched = pieces.fetch([item], { signal, complain })
    // Heard when it is its turn.
    fetched.catch(() => undefined)
    return { fetched, bytes, next: offset + length }
  }
  const hasher = client.world.hashing.start('sha256')
  const from = new Set<string>()
  let now = begin(slice.offset)
  try {
    for (;;) {
      const [result] = await now.fetched
      if (result?.outcome !== 'fetched') return result?.why ?? 'it was not fetched'
      for (const pillar of result.pillars) from.add(pillar)
      const next = now.next < end ? begin(now.next) : undefined
      hasher.update(now.bytes)
      await out.bytes(now.bytes)
      if (!next) break
      now = next
    }
  } finally {
    stop.abort()
    await now.fetched.catch(() => undefined)
  }
  for (const pillar of from) summary.from.set(pillar, 1)
  const right = slice.length < known.size || hasher.hex() === known.checksum
  return right ? undefined : 'the bytes that came are not those of the file'
}

function streaming({ desk }: Run, checksum: string | undefined, wrong: () => void): Landing {
  const hasher = desk.client.world.hashing.start('sha256')
  let at = 0
  return {
    at: () => at,
    async write(bytes) {
      if (checksum !== undefined) hasher.update(bytes)
      await desk.out.bytes(bytes)
      at += bytes.length
    },
    secure: async () => undefined,
    async finish() {
      if (checksum === undefined || hasher.hex() === checksum) return undefined
      // No other pillar can make good what was written.
      wrong()
      return 'the bytes that came are not those of the file'
    },
  }
}
