/** Results of a listing that come as one object, by a result token of ours, instead of in many messages. */
import type { Landing } from '../exchange/bench.ts'
import { type AnswerMessage, type MessageOf, resultItems } from '../protocol/messages.ts'
import type { Transmission } from '../protocol/parts.ts'
import { objectName } from '../transfer/objects.ts'
import { digestOf } from '../world/world.ts'
import type { Client } from './client.ts'
import { fetchFromRelay, tracked } from './get.ts'
import type { Final, Listing } from './pages.ts'

export interface ResultPlace {
  readonly transmission: Transmission
  /** What the pillar says meanwhile: it may turn to the relay, and then we fetch from there. */
  hear(answer: AnswerMessage): void
  /** The answer with its items, as they came; undefined when they did not come whole. */
  complete<K extends Listing>(kind: K, final: Final<K>): Promise<Final<K> | undefined>
  /** Nothing more is taken. */
  end(): Promise<void>
}

/** A place for the results of one request. */
export function resultPlace(
  client: Client,
  {
    pillar,
    conversation,
    page,
    signal,
  }: {
    readonly pillar: string
    readonly conversation: string
    readonly page: number
    readonly signal: AbortSignal
  },
): ResultPlace {
  const { world, bench, name } = client
  const object = objectName(world, 'results', pillar, conversation, page)
  const parts: Uint8Array[] = []
  const landing = tracked(inMemory(parts), () => undefined)
  const transmission = client.transmission({ dir: 'up', hld: [pillar], obj: [[object, -1]] })
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let fetching: Promise<void> | undefined
  bench.land(object, landing)
  return {
    transmission,
    hear(answer) {
      const to = 'deliveringTo' in answer ? answer.deliveringTo : undefined
      if (!to?.some((one) => one !== name)) return
      const parcel = { name: object, size: -1, landing }
      fetching ??= fetchFromRelay(client, [parcel], () => transmission.token, either)
    },
    async complete(kind, final) {
      const { result } = final as MessageOf<'GetFileIDsFinalResponse'>
      if (!result) return final
      await fetching
      const bytes = joined(parts)
      if (bytes.length !== result.size || digestOf(world, bytes) !== result.checksum)
        return undefined
      const items = resultItems(kind, new TextDecoder().decode(bytes))
      return items?.length === result.items ? ({ ...final, items } as typeof final) : undefined
    },
    async end() {
      stop.abort()
      await fetching?.catch(() => undefined)
      bench.clear([object])
    },
  }
}

function inMemory(parts: Uint8Array[]): Landing {
  let at = 0
  return {
    at: () => at,
    async write(bytes) {
      parts.push(new Uint8Array(bytes))
      at += bytes.length
    },
    secure: async () => undefined,
    finish: async (size) => (at === size ? undefined : 'bytes are missing'),
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
