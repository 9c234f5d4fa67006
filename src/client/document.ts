/** The next archive document, signed by its owner, on its way to the tracker, which hands it out to all. */
import { limits } from '../limits.ts'
import type { ArchiveDocument } from '../protocol/document.ts'
import { timeText } from '../protocol/scalars.ts'
import { drop } from '../transfer/pull.ts'
import { sealDocument } from '../trust/directory.ts'
import type { Signer } from '../trust/trust.ts'
import { type Client, Unable } from './client.ts'

/**
 * Signs it as the version after the one we know, and gives it to the tracker. `refused` when that has a newer one; rejects
 * with `Unable` when it can not be reached. Resolves once the tracker would know it after a power cut.
 */
export async function publishDocument(
  { directory, dial, world, name }: Client,
  document: ArchiveDocument,
  owner: Signer,
  signal: AbortSignal,
): Promise<'published' | 'refused'> {
  const sealed = sealDocument(
    {
      ...document,
      version: directory.document().version + 1,
      issuedAt: timeText(world.clock.now()),
    },
    owner,
  )
  const exchange = document.exchanges.find(({ identity }) => identity !== name)
  let why = 'the archive document names none'
  for (const url of exchange?.urls ?? []) {
    try {
      const response = await dial(
        { identity: exchange?.identity ?? '', url },
        {
          method: 'PATCH',
          path: '/archive-document',
          headers: { 'content-length': `${sealed.length}` },
          body: once(sealed),
        },
        { connectMs: limits.connectMs, idleMs: limits.transferIdleMs, signal },
      )
      why = await drop(response)
      if (response.status === 409) return 'refused'
      if (response.status !== 204) throw new Error(`${response.status} ${why}`)
      await directory.accept(sealed)
      return 'published'
    } catch (error) {
      signal.throwIfAborted()
      why = error instanceof Error ? error.message : String(error)
    }
  }
  throw new Unable(`the tracker could not be given the archive document: ${why}`)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
