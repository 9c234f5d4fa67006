/** What one participant of the embedded broker may have and send, whatever he is. */
import type { Duplex } from 'node:stream'
import type { allowances } from '../door/allowance.ts'
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'
import { checkPackets } from './framing.ts'

/** Connections whose end was explained in the log already: each has one line. */
export type Explained = WeakSet<Duplex>

/** False, and he is cut off, when he has too many connections. To be called before anybody reads of the stream. */
export function bounded(
  stream: Duplex,
  identity: string,
  paces: ReturnType<typeof allowances>,
  explained: Explained,
  { log }: Pick<World, 'log'>,
): boolean {
  const refused = (why: string) => {
    if (explained.has(stream)) return
    explained.add(stream)
    log.warn('broker.link.refused', { identity, why })
  }
  let hasLeft = (): boolean => false
  paces.enter(identity)
  stream.once('close', () => {
    paces.leave(identity)
    // aedes ends some connections without a word.
    if (!stream.readableEnded && stream.errored === null && !hasLeft())
      refused('a packet that is not in order')
  })
  if (paces.users(identity) > limits.linksPerPeerMax) {
    refused('too many connections')
    stream.on('error', () => {}).destroy()
    return false
  }
  hasLeft = checkPackets(stream, limits.packetBytesMax, refused)
  return true
}

interface Hello {
  readonly clientId: string
  readonly will?: { readonly qos?: number }
  readonly username?: unknown
  readonly password?: unknown
}

/** What mqtt-packet lets pass, and MQTT does not (§3.1.2). */
export const isInOrder = ({ clientId, will, username, password }: Hello): boolean =>
  clientId !== '' && (will?.qos ?? 0) < 2 && (password === undefined || username !== undefined)

/** How many filters a connection has subscribed to; aedes does not say it in its types. */
export const filtersOf = (client: object): number =>
  'subscriptions' in client ? Object.keys(Object(client.subscriptions)).length : 0
