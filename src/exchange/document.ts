/** A newer archive document, brought by anybody: what counts is the owner's signature. */
import { promisedBytes } from '../transfer/body.ts'
import type { Request } from '../transfer/transfer.ts'
import { type Directory, documentBytesMax } from '../trust/directory.ts'

/** The status to answer with, and why; 204 when it was taken, and would be known after a power cut. */
type Taken = readonly [status: number, why: string]

const tooLong: Taken = [413, 'too long for an archive document']

/** So many come at once, one of each peer: more would fill the memory. */
const intakesMax = 8

export function documentIntake(
  directory: Directory,
): (peer: string, request: Request) => Promise<Taken> {
  const busy = new Set<string>()
  return async (peer, request) => {
    const bytes = promisedBytes(request.headers)
    if (bytes === undefined) return [400, 'Content-Length is needed']
    if (bytes > documentBytesMax) return tooLong
    if (busy.has(peer) || busy.size >= intakesMax)
      return [503, 'another archive document is just coming']
    busy.add(peer)
    try {
      return await take(directory, request, bytes)
    } finally {
      busy.delete(peer)
    }
  }
}

async function take(directory: Directory, { body }: Request, bytes: number): Promise<Taken> {
  const document = new Uint8Array(bytes)
  let at = 0
  for await (const some of body ?? []) {
    if (at + some.length > bytes) return tooLong
    document.set(some, at)
    at += some.length
  }
  if (at === bytes && (await directory.accept(document))) return [204, '']
  return [409, 'not by the owner, or not newer than what is known']
}
