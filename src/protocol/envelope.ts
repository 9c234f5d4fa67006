/**
 * One message on the wire is two lines of UTF-8: the message as JSON, a line feed, then
 * `<algorithm> <key id> <base64url signature>` over the exact bytes of line one. Bytes are signed, not meanings.
 */
import { Buffer } from 'node:buffer'
import * as v from 'valibot'
import { limits } from '../limits.ts'
import type { Signer } from '../trust/trust.ts'
import { Head, Message, protocolVersion } from './messages.ts'

export interface Sealed {
  /** Exactly the bytes that were signed. */
  readonly line: Uint8Array
  readonly algorithm: string
  readonly keyId: string
  readonly signature: Uint8Array
}

/** Signs one line; the result is what goes over the bus. Throws `RangeError` when it exceeds a message. */
export function seal(
  line: string,
  signer: Signer,
  bytesMax: number = limits.messageBytesMax,
): Uint8Array {
  const body = Buffer.from(line, 'utf8')
  const signature = Buffer.from(signer.sign(body)).toString('base64url')
  const whole = Buffer.concat([
    body,
    Buffer.from(`\n${signer.algorithm} ${signer.keyId} ${signature}`),
  ])
  if (whole.length > bytesMax) throw new RangeError(`a message of ${whole.length} bytes`)
  return whole
}

/** Takes the two lines apart; undefined when it is not of that form or too long. Nothing is parsed yet. */
export function unseal(
  payload: Uint8Array,
  bytesMax: number = limits.messageBytesMax,
): Sealed | undefined {
  if (payload.length > bytesMax) return undefined
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const end = bytes.indexOf(0x0a)
  if (end < 2) return undefined
  const match = /^([A-Za-z0-9]{1,20}) ([A-Za-z0-9_-]{22}) ([A-Za-z0-9_-]{1,400})$/.exec(
    bytes.toString('latin1', end + 1),
  )
  if (!match) return undefined
  const [, algorithm = '', keyId = '', signature = ''] = match
  return {
    line: bytes.subarray(0, end),
    algorithm,
    keyId,
    signature: Buffer.from(signature, 'base64url'),
  }
}

export type Parsed =
  | { readonly is: 'message'; readonly message: Message }
  /** Well formed as far as the head goes, but of an unknown type, too new, or with wrong fields. */
  | { readonly is: 'notUnderstood'; readonly head: Head; readonly why: string }
  | { readonly is: 'garbage'; readonly why: string }

const utf8 = new TextDecoder('utf-8', { fatal: true })

const inOneLine = (issues: Parameters<typeof v.summarize>[0]): string =>
  v
    .summarize(issues)
    .replaceAll(/\s*\n\s*/g, ' ')
    .slice(0, 500)

/** Parses a line whose signature was found right. */
export function parse(line: Uint8Array): Parsed {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(line))
  } catch {
    return { is: 'garbage', why: 'not JSON' }
  }
  const head = v.safeParse(Head, value)
  if (!head.success) return { is: 'garbage', why: inOneLine(head.issues) }
  if (head.output.min > protocolVersion)
    return {
      is: 'notUnderstood',
      head: head.output,
      why: `needs protocol version ${head.output.min}, this is ${protocolVersion}`,
    }
  const whole = v.safeParse(Message, value)
  if (whole.success) return { is: 'message', message: whole.output }
  return { is: 'notUnderstood', head: head.output, why: inOneLine(whole.issues) }
}

/**
 * What a request asks for, without what may differ between two sendings of it: times, reply topic and token.
 * Two requests with the same key must agree in it.
 */
export function substance(message: Message): string {
  const { id: _id, sentAt: _sent, expiresAt: _expires, replyTo: _reply, to: _to, ...rest } = message
  return JSON.stringify({ ...rest, transmission: undefined })
}

/** The key of a request: a repeat of it gets the stored answer and no second effect. */
export const keyOf = (message: Pick<Message, 'from' | 'conversation' | 'type' | 'page'>): string =>
  `${message.from} ${message.conversation} ${message.type} ${message.page ?? 0}`
