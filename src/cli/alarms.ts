/** `colonnade alarms`: what went wrong in the archive, and with --follow what goes wrong from now on. */
import { heardAlarms } from '../client/alarms.ts'
import { Unable } from '../client/client.ts'
import type { AlarmCode } from '../protocol/alarms.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { Desk } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText } from './output.ts'

export interface AlarmsOptions {
  readonly follow?: boolean
  /** Milliseconds since 1970. */
  readonly since?: number
  readonly code?: AlarmCode
}

type Alarm = MessageOf<'Alarm'>

/** Alarms as they come, from before the history is asked for, so that none is lost in between. */
export interface Feed {
  hear(alarm: Alarm): void
  /** Rejects with the reason of `signal` when that is aborted. */
  next(signal: AbortSignal): Promise<Alarm>
}

const waitingMax = 10_000

export function alarmFeed(): Feed {
  const waiting: Alarm[] = []
  let wake = (): void => undefined
  return {
    hear(alarm) {
      waiting.push(alarm)
      if (waiting.length > waitingMax) waiting.shift()
      wake()
    },
    async next(signal) {
      for (;;) {
        signal.throwIfAborted()
        const alarm = waiting.shift()
        if (alarm) return alarm
        await new Promise<void>((resolve) => {
          wake = resolve
          signal.addEventListener('abort', wake, { once: true })
        })
        signal.removeEventListener('abort', wake)
      }
    },
  }
}

export async function alarms(desk: Desk, feed: Feed, options: AlarmsOptions): Promise<ExitCode> {
  const { out, signal } = desk
  const { follow, ...query } = options
  const told = new Set<string>()
  try {
    for await (const { sequence, heardAt, ...alarm } of heardAlarms(desk.client, query, signal)) {
      told.add(alarm.id)
      out.object({ sequence, heardAt, ...alarm })
      out.line(lineOf(heardAt, alarm))
    }
    if (told.size === 0) out.note('there are no alarms')
  } catch (error) {
    if (!(error instanceof Unable)) throw error
    if (!follow)
      throw new Complaint(error.message, exitCodes.nobody, 'is it running, and connected?')
    out.warn(`${error.message}: only what comes from now on is shown`)
  }
  while (follow) {
    const { id, from, alarmCode, alarmText, sentAt, collection, fileId } = await feed.next(signal)
    // Heard twice: by the tracker and by us, or by us twice.
    if (told.has(id) || (options.code !== undefined && alarmCode !== options.code)) continue
    told.add(id)
    for (const oldest of told) {
      if (told.size <= waitingMax) break
      told.delete(oldest)
    }
    const alarm = {
      id,
      sentAt,
      component: from,
      code: alarmCode,
      text: alarmText,
      collection,
      fileId,
    }
    out.object(alarm)
    out.line(lineOf(sentAt, alarm))
  }
  return exitCodes.done
}

interface Shown {
  readonly component: string
  readonly code: AlarmCode
  readonly text: string
  readonly fileId?: string | undefined
}

const lineOf = (at: string, { component, code, text, fileId }: Shown): string =>
  [at, component, code, text, ...(fileId === undefined ? [] : [idText(fileId)])].join('  ')
