/** A newer archive document, brought by anybody: what counts is the owner's signature. */
import type { Request } from '../transfer/transfer.ts'
import { type Directory, documentBytesMax } from '../trust/directory.ts'

/** The status to answer with, and why; 204 when it was taken, and would be known after a power cut. */
export async function takeDocument(
  directory: Directory,
  { body }: Request,
): Promise<[status: number, why: string]> {
  let document = new Uint8Array(0)
  for await (const bytes of body ?? []) {
    const size = document.length + bytes.length
    if (size > documentBytesMax) return [413, 'too long for an archive document']
    const longer = new Uint8Array(size)
    longer.set(document)
    longer.set(bytes, document.length)
    document = longer
  }
  if (await directory.accept(document)) return [204, '']
  return [409, 'not by the owner, or not newer than what is known']
}
