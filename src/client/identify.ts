/** The first primitive: who should and can do it. */
import { limits } from '../limits.ts'
import type { AnswerMessage, RequestMessage } from '../protocol/messages.ts'
import type { Client } from './client.ts'
import type { Conversation } from './conversation.ts'

/**
 * Asks all parties by the collection's topic. Ends when all that are there have answered, at the latest after
 * `identifyMs`; the answers that came, by pillar.
 */
export async function identify(
  client: Client,
  request: RequestMessage,
  parties: readonly string[],
  signal: AbortSignal,
  enough?: (answers: readonly AnswerMessage[]) => boolean,
): Promise<Map<string, AnswerMessage>> {
  const { line, topics } = client
  const present = (state: Conversation): boolean =>
    [...state.parties].every(
      ([name, { party }]) => party.at === 'answered' || line.presence(name) === 'offline',
    )
  const result = await line.ask({
    request,
    parties,
    signal,
    topic: topics.collectionRequests(request.collection),
    topicOf: topics.pillarRequests,
    idleMs: limits.identifyMs,
    offlineMs: limits.identifyMs,
    // Who is said to be off is asked all the same when nobody else is there: what is said of it may be late.
    enough: (state) => {
      const answers = answersOf(state)
      return (answers.length > 0 && present(state)) || (enough?.(answers) ?? false)
    },
  })
  const answers = new Map<string, AnswerMessage>()
  for (const [name, party] of result)
    if (party.at === 'answered') answers.set(name, party.answer)
    else if (line.presence(name) === 'unknown') line.hush(name)
  return answers
}

const answersOf = (state: Conversation): AnswerMessage[] =>
  [...state.parties.values()].flatMap(({ party }) =>
    party.at === 'answered' ? [party.answer] : [],
  )
