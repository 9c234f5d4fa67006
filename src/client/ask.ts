/** The simplest primitive: one pillar, one request, one final answer. */
import { limits } from '../limits.ts'
import type { AnswerMessage, RequestMessage } from '../protocol/messages.ts'
import { type Client, Unable } from './client.ts'
import type { Asking } from './line.ts'

/** What is silent for so long is asked no more. */
const idleMsMax = 30_000
export const idleMsOf = ({ idleMs }: Client): number => Math.min(idleMs, idleMsMax)

/** One request to one pillar, and its final answer; undefined when it stays silent. */
export async function heardOf(
  client: Client,
  pillar: string,
  request: RequestMessage,
  signal: AbortSignal,
  progress: (answer: AnswerMessage) => void = () => undefined,
): Promise<AnswerMessage | undefined> {
  const { topics, line } = client
  const parties = await line.ask({
    request,
    parties: [pillar],
    topic: topics.pillarRequests(pillar),
    topicOf: topics.pillarRequests,
    idleMs: idleMsOf(client),
    offlineMs: limits.identifyMs,
    progress,
    signal,
  })
  const party = parties.get(pillar)
  return party?.at === 'answered' ? party.answer : undefined
}

/** The same of the tracker. */
export async function heardOfTracker(
  { topics, line }: Client,
  tracker: string,
  request: Asking['request'],
  signal: AbortSignal,
): Promise<AnswerMessage | undefined> {
  const parties = await line.ask({
    ...{ request, parties: [tracker], signal },
    topic: topics.trackerRequests(),
    topicOf: topics.trackerRequests,
    idleMs: limits.identifyMs,
    offlineMs: limits.identifyMs,
  })
  const party = parties.get(tracker)
  return party?.at === 'answered' ? party.answer : undefined
}

/** One request to one pillar; rejects with `Unable` when the pillar stays silent. */
export async function askOne(
  client: Client,
  pillar: string,
  request: RequestMessage,
  signal: AbortSignal,
): Promise<AnswerMessage> {
  const answer = await heardOf(client, pillar, request, signal)
  if (!answer) throw new Unable(`${pillar} did not answer`)
  return answer
}
