// What a hostile peer tries, as a table: each line is one bad input, and what has to come of it.

import { connect } from 'node:tls'
import type { Credentials } from '../../support/pki.ts'

/** Credentials of a member, or only the authority's certificate. */
export type Tls = Pick<Credentials, 'ca'> & Partial<Credentials>

export interface Door {
  readonly port: number
  readonly tls: Tls
  readonly alpn?: string
}

/** Says something, and hears what comes back until `enough` says so, or the other side ends. */
export function talk(
  { port, tls, alpn }: Door,
  words: string | Uint8Array,
  enough: (heard: string) => boolean,
): Promise<{ heard: string; closed: boolean }> {
  return new Promise((resolve) => {
    const protocols = alpn === undefined ? {} : { ALPNProtocols: [alpn] }
    const to = { host: '127.0.0.1', port, servername: 'tracker', ...tls, ...protocols }
    const socket = connect(to)
    let heard = ''
    let closed = true
    const end = (): void => resolve({ heard, closed })
    const late = setTimeout(() => {
      closed = false
      socket.destroy()
    }, 20_000)
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard += text
      if (!enough(heard)) return
      closed = false
      socket.destroy()
    })
    socket.on('secureConnect', () => socket.write(words))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(late)
      end()
    })
  })
}

/** Whether a whole answer of HTTP is here. */
export function isWhole(heard: string): boolean {
  const end = heard.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(heard.slice(0, end + 2))?.[1]
  if (length !== undefined) return heard.length >= end + 4 + Number(length)
  return (
    !/\r\ntransfer-encoding: chunked/i.test(heard.slice(0, end + 2)) || /\r\n0\r\n\r\n$/.test(heard)
  )
}

export const statusOf = (heard: string): number => Number(/^HTTP\/1.1 (\d+)/.exec(heard)?.[1] ?? 0)

/** The sentence of an answer, without the framing of chunks. */
export const sentenceOf = (heard: string): string =>
  heard.slice(heard.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n([\s\S]*?)\r\n0\r\n\r\n$/, '$1')
