/** The operator's words about pillars, said to the tracker by its own identity. */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { PillarWord } from '../protocol/words.ts'
import { heardOfTracker } from './ask.ts'
import type { Client } from './client.ts'

/** Undefined when the tracker is silent, or too old to know. */
export async function sayOfPillar(
  client: Client,
  pillar: string,
  word: PillarWord | undefined,
  force: boolean,
): Promise<MessageOf<'SayOfPillarFinalResponse'> | undefined> {
  const { world, name, line, signal } = client
  const request = compose<'SayOfPillarRequest'>(world, name, {
    ...{ type: 'SayOfPillarRequest', conversation: uuid7(world), replyTo: line.replyTo },
    ...{ expiresAt: expiryText(world, limits.identifyExpiryMs), pillar, force },
    ...(word === undefined ? {} : { word }),
  })
  const answer = await heardOfTracker(client, name, request, signal)
  return answer?.type === 'SayOfPillarFinalResponse' ? answer : undefined
}
