/** Recovery as the tracker sees it: nothing, where the program gives nothing for it. */
import type { Serve } from '../transfer/transfer.ts'
import type { Caring } from './caring.ts'
import { openRecovery, type Recovery, type RecoveryGround, type RecoveryParts } from './recovery.ts'

export interface Remembering {
  now(): Recovery | undefined
  /** For presence; undefined where pillars are to keep nothing. */
  version(): number | undefined
  over(serve: Serve): Serve
  /** There may be something new to be kept, or nobody to be waited for any more. */
  look(): Promise<void>
  /** What the operator is to know, in sentences. */
  notes(): string[]
  begin(ground: Pick<RecoveryGround, 'words' | 'changed'> & { care: Caring['now'] }): Promise<void>
}

interface Parts extends Pick<RecoveryGround, 'world' | 'state' | 'directory'> {
  readonly recovery?: RecoveryParts
  keepDocument?(sealed: Uint8Array): void
  notes?(): string[]
}

export function remembering(parts: Parts): Remembering {
  const { world, state, directory, keepDocument } = parts
  let recovery: Recovery | undefined
  const look = async (): Promise<void> => {
    await recovery?.look()
    await recovery?.renew()
  }
  return {
    now: () => recovery,
    version: () => recovery?.version(),
    over: (serve) => {
      let inner: Serve | undefined
      return (...asked) => {
        if (recovery) inner ??= recovery.over(serve)
        return (inner ?? serve)(...asked)
      }
    },
    look: () => look().catch((error) => world.log.error('recovery.failed', { why: String(error) })),
    notes: () => [...(parts.notes?.() ?? []), ...waitingFor(recovery?.missing())],
    async begin({ words, changed, care }) {
      if (!parts.recovery) return
      const epoch = (): number => care()?.members.epoch().counter ?? 0
      const keep = (): void => keepDocument?.(directory.sealed())
      recovery = await openRecovery({
        ...{ ...parts.recovery, words, changed, epoch, world, state, directory, keep },
      })
      await look()
    },
  }
}

function waitingFor(missing: readonly string[] | undefined): string[] {
  if (!missing) return []
  const names = missing.length > 0 ? missing.join(', ') : 'the first pillar'
  return [
    `this tracker was restored and waits for ${names}; before, nobody is let in and nothing is deleted (\`colonnade-tracker lost NAME\` if one will not come)`,
  ]
}
