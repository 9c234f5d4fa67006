/** What the tracker brings back to whom, and what it leaves for people to decide. */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { Finding, Repair } from '../protocol/repairs.ts'
import type { Leaving, Unusable } from '../protocol/words.ts'
import { heardOfTracker } from './ask.ts'
import type { Client } from './client.ts'

export interface Told {
  readonly repairs: readonly Repair[]
  readonly findings: readonly Finding[]
  readonly leaving?: readonly Leaving[] | undefined
  readonly unusable?: readonly Unusable[] | undefined
  readonly notes?: readonly string[] | undefined
}

/** Undefined when the tracker is silent, or too old to know. */
export async function repairsUnderWay(
  client: Client,
  signal: AbortSignal,
): Promise<Told | undefined> {
  const { world, name, line, directory } = client
  const tracker = directory.document().identities.find((one) => one.role === 'tracker')?.name
  if (tracker === undefined) return undefined
  const request = compose<'GetRepairsRequest'>(world, name, {
    type: 'GetRepairsRequest',
    conversation: uuid7(world),
    replyTo: line.replyTo,
    expiresAt: expiryText(world, limits.identifyExpiryMs),
  })
  const answer = await heardOfTracker(client, tracker, request, signal)
  return answer?.type === 'GetRepairsFinalResponse' ? answer : undefined
}
