/** The simplest primitive: one pillar, one request, one final answer. */
import { limits } from '../limits.ts'
import type { AnswerMessage, RequestMessage } from '../protocol/messages.ts'
import { type Client, Unable } from './client.ts'

/** One request to one pillar, and its final answer; rejects with `Unable` when it stays silent. */
export async function askOne(
  client: Client,
  pillar: string,
  request: RequestMessage,
  signal: AbortSignal,
): Promise<AnswerMessage> {
  const { topics, line } = client
  const idleMs = Math.min(client.idleMs, 30_000)
  const parties = await line.ask({
    request,
    parties: [pillar],
    topic: topics.pillarRequests(pillar),
    topicOf: topics.pillarRequests,
    idleMs,
    offlineMs: limits.identifyMs,
    signal,
  })
  const party = parties.get(pillar)
  if (party?.at !== 'answered') throw new Unable(`${pillar} did not answer`)
  return party.answer
}
