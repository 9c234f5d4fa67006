/**
 * The bus with names and signatures: what comes out is verified, parsed and bound to its sender; what goes in is
 * sealed. Verified before parsed, and nothing is believed that the sender's key does not cover.
 */
import type { Bus, ConnectBus } from '../bus/bus.ts'
import { limits } from '../limits.ts'
import type { Identity } from '../protocol/document.ts'
import { parse, type Sealed, seal, unseal } from '../protocol/envelope.ts'
import type { Head, Message } from '../protocol/messages.ts'
import type { Topics } from '../protocol/topics.ts'
import type { Directory } from '../trust/directory.ts'
import type { Keys, Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { inbox } from './inbox.ts'

export interface Mail {
  readonly topic: string
  readonly from: Identity
  readonly message: Message
  /** The exact line that was signed. */
  readonly line: string
  /** Id of the key that signed it. */
  readonly key: string
}

export interface PostParts {
  readonly world: World
  readonly identity: string
  readonly signer: Signer
  readonly keys: Keys
  readonly directory: Directory
  readonly topics: Topics
  readonly connect: ConnectBus
  readonly clientId: string
  readonly persistent: boolean
  readonly subscriptions: readonly string[]
  readonly will?: { readonly topic: string; readonly message: Message }
  /** Fetches the archive document once more; the answer to an unknown key. */
  refresh(): Promise<unknown>
}

export interface PostHandlers {
  /** Short work only; what takes long is to be detached. */
  mail(mail: Mail): Promise<void>
  /** Well formed and signed by a known sender, but not to be understood by us. */
  notUnderstood?(head: Head, from: Identity, why: string): void
  connected?(): void
}

export interface Post {
  /** Publishes; true when the broker acknowledged. A hint only: whoever needs an answer says it again. */
  send(topic: string, message: Message, retain?: boolean): Promise<boolean>
  isConnected(): boolean
  close(): Promise<void>
}

interface Raw {
  readonly topic: string
  readonly payload: Uint8Array
}

export function startPost(parts: PostParts, handlers: PostHandlers): Post {
  const { world, keys, directory } = parts
  const hold = unknownKeys(parts)
  let connected = false

  async function handle(raw: Raw): Promise<void> {
    const sealed = unseal(raw.payload)
    if (!sealed) return refuse(raw, 'not two lines, or too long')
    const owner = directory.keyOwner(sealed.keyId) ?? (await hold(sealed.keyId))
    if (!owner) return refuse(raw, 'an unknown key')
    if (!keys.verify(sealed.algorithm, owner.publicKey, sealed.line, sealed.signature))
      return refuse(raw, 'a wrong signature')
    await understand(raw, sealed, owner)
  }
  async function understand(raw: Raw, sealed: Sealed, owner: Identity): Promise<void> {
    const parsed = parse(sealed.line)
    if (parsed.is === 'garbage') return refuse(raw, parsed.why)
    const head = parsed.is === 'message' ? parsed.message : parsed.head
    if (head.from !== owner.name)
      return refuse(raw, `signed by ${owner.name} in the name of ${head.from}`)
    if (head.replyTo !== undefined && !parts.topics.isReplyOf(head.replyTo, owner.name))
      return refuse(raw, 'a reply topic of another')
    if (parsed.is === 'message' && !parts.topics.isPlaceOf(raw.topic, parsed.message))
      return refuse(raw, 'a topic where such is not said')
    if (parsed.is === 'notUnderstood')
      return handlers.notUnderstood?.(parsed.head, owner, parsed.why)
    await handlers.mail({
      topic: raw.topic,
      from: owner,
      message: parsed.message,
      line: new TextDecoder().decode(sealed.line),
      key: sealed.keyId,
    })
  }
  function refuse(raw: Raw, why: string): void {
    world.log.warn('post.refused', { topic: raw.topic, bytes: raw.payload.length, why })
  }
  const box = inbox<Raw>(world.log, handle)
  const bus: Bus = parts.connect({
    clientId: parts.clientId,
    persistent: parts.persistent,
    subscriptions: parts.subscriptions,
    ...(parts.will
      ? {
          will: {
            topic: parts.will.topic,
            payload: seal(JSON.stringify(parts.will.message), parts.signer),
          },
        }
      : {}),
    // An empty retained message only clears the topic.
    receive: (topic, payload) => void (payload.length > 0 && box.put({ topic, payload })),
    connected() {
      connected = true
      world.log.info('bus.connected', {})
      handlers.connected?.()
    },
    closed(reason) {
      if (connected) world.log.info('bus.closed', { reason })
      connected = false
    },
  })
  return {
    isConnected: () => connected,
    async send(topic, message, retain = false) {
      try {
        await bus.publish(topic, seal(JSON.stringify(message), parts.signer), retain)
        return true
      } catch (error) {
        if (error instanceof RangeError) throw error
        return false
      }
    },
    async close() {
      box.stop()
      await bus.close()
    },
  }
}

/** A newer archive document may know the key: it is fetched once, and the message waits at most so long. */
function unknownKeys({
  world,
  directory,
  refresh,
}: PostParts): (keyId: string) => Promise<Identity | undefined> {
  let fetching: Promise<unknown> | undefined
  let lastEnd = Number.NEGATIVE_INFINITY
  let held = 0
  return async (keyId) => {
    if (held >= limits.unknownKeyHeldMax) return undefined
    // Not again at once for each message of a stranger.
    if (!fetching && world.clock.monotonic() - lastEnd < limits.unknownKeyHoldMs) return undefined
    held++
    fetching ??= refresh()
      .catch(() => undefined)
      .finally(() => {
        fetching = undefined
        lastEnd = world.clock.monotonic()
      })
    await Promise.race([fetching, world.clock.sleep(limits.unknownKeyHoldMs)])
    held--
    return directory.keyOwner(keyId)
  }
}
