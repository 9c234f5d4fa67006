/** The body of an upload on its way in: it may break off, and it may be stopped. */
import { Cut } from '../transfer/transfer.ts'

/** The sender goes on with this upload in another request. */
export class Superseded extends Cut {}

export interface Arriving {
  /** What comes; ends without an error where the body breaks off or is stopped. */
  readonly bytes: AsyncIterable<Uint8Array>
  /** Why it ended early; undefined when it was whole. */
  broken(): Error | undefined
}

/** What came of a body before it broke off is as good as what came of a whole one: nobody should have to send it again. */
export function arriving(body: AsyncIterable<Uint8Array>, stop: AbortSignal): Arriving {
  let broken: Error | undefined
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = body[Symbol.asyncIterator]()
    const stopped = aborted(stop)
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), stopped])
        if (next === undefined) throw new Superseded('another request goes on with this upload')
        if (next.done) return
        yield next.value
      }
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error))
    } finally {
      // Not waited for: it may hang in the read that we no longer want.
      iterator.return?.().then(undefined, () => undefined)
    }
  }
  return { bytes: bytes(), broken: () => broken }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
