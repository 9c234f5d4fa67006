/** The alarms that were heard, durably: the newest of them, each once, and the answer to who asks for them. */
import { limits } from '../limits.ts'
import { compose } from '../post/compose.ts'
import type { HeardAlarm } from '../protocol/alarms.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { bytesOf, timeText, timeValue } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'

export interface Alarms {
  /** Resolves only once the alarm would survive a power cut. */
  hear(alarm: MessageOf<'Alarm'>): Promise<void>
  answer(request: MessageOf<'GetAlarmsRequest'>): Promise<MessageOf<'GetAlarmsFinalResponse'>>
}

/** Keys sort as numbers do; so many of them share all but their last digits, and are read together. */
const digits = 12
const blockDigits = 2
const blockSize = 10 ** blockDigits
const keyOf = (sequence: number): string => `alarm ${`${sequence}`.padStart(digits, '0')}`
const blockOf = (sequence: number): string => keyOf(sequence).slice(0, -blockDigits)
const idKeyOf = (id: string): string => `alarm-id ${id}`

export async function openAlarms(
  world: World,
  name: string,
  state: State,
  keptMax: number = limits.alarmsKeptMax,
): Promise<Alarms> {
  const one = lock()
  /** Message ids by sequence, oldest first: what came twice is known by them. */
  const kept = new Map<number, string>(
    (await state.list(idKeyOf('')))
      .map(([key, sequence]): [number, string] => [Number(sequence), key.slice(idKeyOf('').length)])
      .sort(([a], [b]) => a - b),
  )
  const known = new Set(kept.values())
  let last = [...kept.keys()].at(-1) ?? 0

  async function keep(alarm: MessageOf<'Alarm'>): Promise<void> {
    if (known.has(alarm.id)) return
    const heard = heardOf(alarm, last + 1, world.clock.now())
    const [oldest, id] = kept.entries().next().value ?? [0, '']
    const full = kept.size >= keptMax
    await state.change([
      [keyOf(heard.sequence), JSON.stringify(heard)],
      [idKeyOf(heard.id), `${heard.sequence}`],
      ...(full
        ? ([
            [keyOf(oldest), undefined],
            [idKeyOf(id), undefined],
          ] as const)
        : []),
    ])
    last = heard.sequence
    kept.set(last, heard.id)
    known.add(heard.id)
    if (!full) return
    kept.delete(oldest)
    known.delete(id)
  }

  /** From this sequence on, oldest first, never more than a block in memory. */
  async function* from(first: number): AsyncGenerator<HeardAlarm> {
    const oldest = kept.keys().next().value ?? last + 1
    for (
      let at = Math.max(first, oldest);
      at <= last;
      at = (Math.floor(at / blockSize) + 1) * blockSize
    )
      for (const [, text] of await state.list(blockOf(at))) {
        const alarm = JSON.parse(text) as HeardAlarm
        if (alarm.sequence >= at) yield alarm
      }
  }

  return {
    hear: (alarm) => one(() => keep(alarm)),
    async answer(request) {
      const { alarms, partialResult } = await pageOf(request, from((request.after ?? 0) + 1))
      const after = partialResult ? alarms.at(-1)?.sequence : undefined
      return compose<'GetAlarmsFinalResponse'>(world, name, {
        type: 'GetAlarmsFinalResponse',
        conversation: request.conversation,
        page: request.page,
        to: [request.from],
        pillar: name,
        responseInfo: { code: 'OPERATION_COMPLETED' },
        alarms,
        partialResult,
        ...(after === undefined ? {} : { after }),
      })
    },
  }
}

/** As many as match and one message takes, and whether there are more. */
async function pageOf(
  request: MessageOf<'GetAlarmsRequest'>,
  all: AsyncIterable<HeardAlarm>,
): Promise<{ alarms: HeardAlarm[]; partialResult: boolean }> {
  const { maxResults = limits.trailResultsMax } = request
  const max = Math.max(1, Math.min(maxResults, limits.trailResultsMax))
  const alarms: HeardAlarm[] = []
  let bytes = 0
  for await (const alarm of all) {
    if (!matches(request, alarm)) continue
    bytes += bytesOf(JSON.stringify(alarm)) + 1
    const full = alarms.length === max || (bytes > limits.pageBytesMax && alarms.length > 0)
    if (full) return { alarms, partialResult: true }
    alarms.push(alarm)
  }
  return { alarms, partialResult: false }
}

const heardOf = (alarm: MessageOf<'Alarm'>, sequence: number, now: number): HeardAlarm => ({
  sequence,
  heardAt: timeText(now),
  id: alarm.id,
  sentAt: alarm.sentAt,
  component: alarm.from,
  code: alarm.alarmCode,
  text: alarm.alarmText,
  ...(alarm.collection === undefined ? {} : { collection: alarm.collection }),
  ...(alarm.fileId === undefined ? {} : { fileId: alarm.fileId }),
})

function matches(request: MessageOf<'GetAlarmsRequest'>, alarm: HeardAlarm): boolean {
  const { code, component, minTimestamp, maxTimestamp } = request
  const at = timeValue(alarm.heardAt)
  return (
    (code === undefined || alarm.code === code) &&
    (component === undefined || alarm.component === component) &&
    (minTimestamp === undefined || at >= timeValue(minTimestamp)) &&
    (maxTimestamp === undefined || at <= timeValue(maxTimestamp))
  )
}
