/** Follows the packets of MQTT 3.1.1 (§2.2) as they come, before anybody keeps them: what nobody of ours sends is cut. */
import type { Duplex } from 'node:stream'

/** Types of control packets (§2.2.1). */
const connect = 1
const publish = 3
/** What a client says once it is connected: publish, puback, subscribe, unsubscribe, pingreq, disconnect. */
const disconnect = 14
const said: ReadonlySet<number> = new Set([publish, 4, 8, 10, 12, disconnect])

interface Framing {
  /** Why these bytes are not taken; undefined when they are. Keeps track from call to call. */
  check(bytes: Uint8Array): string | undefined
  /** The other side has said that it goes. */
  hasLeft(): boolean
}

export function framing(packetBytesMax: number): Framing {
  /** Bytes of the packet's body that are still to come. */
  let skip = 0
  /** Undefined between packets. */
  let length: { value: number; shift: number } | undefined
  let type = 0
  function check(bytes: Uint8Array): string | undefined {
    for (let at = 0; at < bytes.length; ) {
      const byte = bytes[at] ?? 0
      if (skip > 0) {
        const some = Math.min(skip, bytes.length - at)
        skip -= some
        at += some
        continue
      }
      at++
      if (length === undefined) {
        const isFirst = type === 0
        type = byte >> 4
        if (isFirst ? type !== connect : !said.has(type)) return 'a packet that has no place here'
        // A message by QoS 2 is kept until its sender says one word more; nobody of ours uses it.
        if (type === publish && (byte & 0x04) !== 0) return 'QoS 2 is not spoken here'
        length = { value: 0, shift: 0 }
        continue
      }
      length.value += (byte & 0x7f) << length.shift
      length.shift += 7
      if (length.value > packetBytesMax) return 'a packet that is too long'
      if ((byte & 0x80) === 0) {
        skip = length.value
        length = undefined
      } else if (length.shift > 21) return 'a packet without a right length'
    }
    return undefined
  }
  return { check, hasLeft: () => type === disconnect }
}

/**
 * Destroys the stream with the first bytes that are not taken. To be called before anybody reads of it. Tells whether the
 * other side has said that it goes.
 */
export function checkPackets(
  stream: Duplex,
  packetBytesMax: number,
  refused: (why: string) => void,
): () => boolean {
  const { check, hasLeft } = framing(packetBytesMax)
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (stream.destroyed) return false
    const why = chunk instanceof Uint8Array ? check(chunk) : undefined
    if (why === undefined) return push(chunk, encoding)
    refused(why)
    stream.destroy()
    return false
  }
  return hasLeft
}
