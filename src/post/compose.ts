/** Makes messages: the fields that every message has are filled in here and nowhere else. */
import { limits } from '../limits.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import {
  type AnswerMessage,
  type Head,
  type Message,
  type MessageOf,
  type MessageType,
  protocolVersion,
  type RequestMessage,
} from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import type { World } from '../world/world.ts'

type Filled = 'v' | 'min' | 'id' | 'from' | 'sentAt'
/** A message before its common fields are filled in. */
export type Draft<T extends MessageType> = Omit<MessageOf<T>, Filled | 'page'> & {
  readonly page?: number
}

/** UUID version 7 (RFC 9562 §5.7) from the injected clock and random. */
export function uuid7({ clock, random }: Pick<World, 'clock' | 'random'>): string {
  const time = Math.max(0, clock.now()).toString(16).padStart(12, '0').slice(-12)
  const bytes = random.bytes(10)
  bytes[0] = ((bytes[0] ?? 0) & 0x0f) | 0x70
  bytes[2] = ((bytes[2] ?? 0) & 0x3f) | 0x80
  const rest = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${time.slice(0, 8)}-${time.slice(8)}-${rest.slice(0, 4)}-${rest.slice(4, 8)}-${rest.slice(8)}`
}

export function compose<T extends MessageType>(
  world: World,
  from: string,
  draft: Draft<T>,
): MessageOf<T> {
  const sentAt = timeText(world.clock.now())
  const common = {
    v: protocolVersion,
    min: protocolVersion,
    id: uuid7(world),
    from,
    sentAt,
    page: 0,
  }
  return { ...common, ...draft } as Message as MessageOf<T>
}

/** Expiry of a request, by our own clock. */
export const expiryText = (world: Pick<World, 'clock'>, ms: number): string =>
  timeText(world.clock.now() + Math.min(ms, limits.expiryMsMax))

/** What is said to a request that can not be read; undefined when it was none. */
export function notUnderstood(
  world: World,
  name: string,
  { type, from, conversation, collection, page }: Head,
  why: string,
): MessageOf<'NotUnderstoodResponse'> | undefined {
  if (!type.endsWith('Request')) return undefined
  return compose<'NotUnderstoodResponse'>(world, name, {
    type: 'NotUnderstoodResponse',
    conversation,
    page,
    to: [from],
    pillar: name,
    about: type,
    responseInfo: { code: 'REQUEST_NOT_UNDERSTOOD_FAILURE', text: why },
    ...(collection === undefined ? {} : { collection }),
  })
}

/** What an answer shares with the request it answers. */
export function answering(
  request: RequestMessage,
  pillar: string,
  code: ResponseCode,
  text?: string,
) {
  const { conversation, collection, page } = request
  const responseInfo = text === undefined ? { code } : { code, text: text.slice(0, 2_000) }
  return { conversation, collection, page, to: [request.from], pillar, responseInfo }
}

export type { AnswerMessage, RequestMessage }
