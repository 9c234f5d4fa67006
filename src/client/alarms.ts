/** The alarms that the tracker has heard. */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { AlarmCode, HeardAlarm } from '../protocol/alarms.ts'
import { timeText } from '../protocol/scalars.ts'
import { type Client, Unable } from './client.ts'

export interface AlarmQuery {
  /** Milliseconds since 1970 by the tracker's clock, inclusive. */
  readonly since?: number
  readonly code?: AlarmCode
  readonly component?: string
}

/** Oldest first, page by page; rejects with `Unable` when the tracker is silent. */
export async function* heardAlarms(
  client: Client,
  query: AlarmQuery,
  signal: AbortSignal,
): AsyncGenerator<HeardAlarm> {
  const { world, name, line, directory } = client
  const tracker = directory.document().identities.find((one) => one.role === 'tracker')?.name
  if (tracker === undefined) throw new Unable('this archive has no tracker')
  const topic = client.topics.trackerRequests()
  let after: number | undefined
  do {
    const request = compose<'GetAlarmsRequest'>(world, name, {
      type: 'GetAlarmsRequest',
      conversation: uuid7(world),
      replyTo: line.replyTo,
      expiresAt: expiryText(world, limits.identifyExpiryMs),
      ...(query.since === undefined ? {} : { minTimestamp: timeText(query.since) }),
      ...(query.code === undefined ? {} : { code: query.code }),
      ...(query.component === undefined ? {} : { component: query.component }),
      ...(after === undefined ? {} : { after }),
    })
    const idleMs = Math.min(client.idleMs, 30_000)
    const parties = await line.ask({
      request,
      parties: [tracker],
      topic,
      topicOf: () => topic,
      idleMs,
      offlineMs: idleMs,
      signal,
    })
    const party = parties.get(tracker)
    if (party?.at !== 'answered' || party.answer.type !== 'GetAlarmsFinalResponse')
      throw new Unable('the tracker did not answer')
    yield* party.answer.alarms
    after = party.answer.partialResult ? party.answer.after : undefined
  } while (after !== undefined)
}
