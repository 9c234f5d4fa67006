/** Who is let in at an exchange: members by their certificates, and where it is wanted those who have none yet. */
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { identityOf, keyIn } from '../trust/keys.ts'
import type { PublicKey } from '../trust/trust.ts'
import type { Serve } from './transfer.ts'

export interface DoorOptions {
  readonly serve: Serve
  /** Answers those who show no certificate at all; `peer` is their address. Without it they are not let in. */
  readonly strangers?: Serve
  /** Whether this identity may come in with this key; for revocation. Without it every valid certificate may. */
  admit?(identity: string, key: PublicKey): boolean
  /** Takes members who speak MQTT on the same port, by ALPN or WebSocket. Without it only HTTP is spoken. */
  mqtt?(stream: Duplex, identity: string, key: PublicKey): void
}

export interface DoorLimits {
  readonly connectionsPerPeerMax: number
  /** Connections of strangers, and how long each may last. */
  readonly strangersMax: number
  readonly strangerMs: number
}

/** Whoever was let in on a connection, and what answers him. */
export interface Guest {
  readonly peer: string
  readonly serve: Serve
  /** That he has proved; absent of strangers. */
  readonly key?: PublicKey
}

export interface Door {
  /** Decides about a connection once its handshake is done. */
  opens(socket: TLSSocket): boolean
  /** Undefined of who was not let in, or would not be any more. */
  guest(socket: TLSSocket): Guest | undefined
}

export function door(options: DoorOptions, limits: DoorLimits): Door {
  const { serve, strangers, admit } = options
  const guests = new WeakMap<TLSSocket, Guest>()
  const counts = new Map<string, number>()
  const stillMay = ({ peer, key }: Guest): boolean =>
    key === undefined || admit === undefined || admit(peer, key)

  function known(socket: TLSSocket): Guest | undefined {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined)
      return strangers && { peer: socket.remoteAddress ?? '', serve: strangers }
    const peer = identityOf(certificate)
    if (!socket.authorized || peer === undefined) return undefined
    return { peer, serve, key: keyIn(certificate) }
  }
  return {
    opens(socket) {
      const guest = known(socket)
      if (guest === undefined || !stillMay(guest)) return false
      const isStranger = guest.key === undefined
      // All strangers together are one peer: whoever has no name can have many addresses.
      const name = isStranger ? '' : guest.peer
      const count = (counts.get(name) ?? 0) + 1
      if (count > (isStranger ? limits.strangersMax : limits.connectionsPerPeerMax)) return false
      counts.set(name, count)
      guests.set(socket, guest)
      const timer = isStranger ? setTimeout(() => socket.destroy(), limits.strangerMs) : undefined
      socket.once('close', () => {
        clearTimeout(timer)
        const left = (counts.get(name) ?? 1) - 1
        if (left > 0) counts.set(name, left)
        else counts.delete(name)
      })
      return true
    },
    guest(socket) {
      const guest = guests.get(socket)
      return guest && stillMay(guest) ? guest : undefined
    },
  }
}
