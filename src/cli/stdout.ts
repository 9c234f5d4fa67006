/** `colonnade get … -o -`: one file, or a part of one, straight to whoever reads our standard output. */
import { getBatch } from '../client/get.ts'
import type { Landing } from '../exchange/bench.ts'
import type { Run } from './get.ts'
import { Complaint, exitCodes, idText } from './output.ts'

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
  if (wanted > 0) {
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
