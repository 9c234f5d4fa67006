/**
 * The care for collections in fragments begins with the first of them in the archive document: who has none pays nothing
 * for it.
 */
import type { Mail } from '../post/post.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { Directory } from '../trust/directory.ts'
import type { Log } from '../world/world.ts'
import type { FragmentCare } from './fragments.ts'

export interface Caring {
  /** Undefined as long as there is no such collection. */
  now(): FragmentCare | undefined
  hear(mail: Mail): Promise<void>
  notice(presence: MessageOf<'Presence'>): void
  connected(): void
  /** The document may have changed. Resolves when the care has begun, if it is to. */
  look(): Promise<void>
  stop(): Promise<void>
}

export function caring(
  log: Log,
  directory: Pick<Directory, 'document'>,
  begin: (() => Promise<FragmentCare>) | undefined,
): Caring {
  let care: FragmentCare | undefined
  let beginning: Promise<void> | undefined
  let stopped = false
  /** Who is there, by name: for the care to know when it begins. */
  const there = new Map<string, MessageOf<'Presence'>>()

  async function begun(start: () => Promise<FragmentCare>): Promise<void> {
    try {
      care = await start()
      for (const one of there.values()) care.notice(one)
    } catch (error) {
      beginning = undefined
      log.error('fragments.notBegun', { why: String(error) })
      throw error
    }
  }
  return {
    now: () => care,
    hear: async (mail) => care?.hear(mail),
    notice(presence) {
      there.set(presence.from, presence)
      care?.notice(presence)
    },
    connected: () => care?.connected(),
    async look() {
      const wanted = directory.document().collections.some(({ fragments }) => fragments)
      if (!wanted || !begin || stopped) return
      beginning ??= begun(begin)
      if (care) care.decided()
      else await beginning
    },
    async stop() {
      stopped = true
      await beginning?.catch(() => undefined)
      await care?.stop()
    },
  }
}
