/** Whether broker and exchange are to be reached and are who they should be; and how fast this processor enciphers. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { connect } from 'node:tls'
import { proxyFor, tunnelled } from '../door/proxy.ts'
import { cipherName } from '../system/cpu.ts'
import { formatBytes } from '../world/units.ts'
import { bad, type Finding, ok } from './finding.ts'

export interface Peer {
  /** What it is to the owner. */
  readonly check: string
  readonly url: string
  readonly identity: string
}

interface Credentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const patienceMs = 10_000

/** Connects, proves both sides, and goes: nothing is asked, so that a running agent is not disturbed. */
export async function reach(peer: Peer, tls: Credentials): Promise<Finding> {
  const { host, port } = place(peer.url)
  const where = `${peer.check === 'broker' ? 'broker' : 'exchange'} at ${host}:${port}`
  const began = performance.now()
  const fault = await new Promise<Error | undefined>((done) => {
    const proxy = proxyFor(host, port)
    const line = proxy ? tunnelled(proxy, host, port) : connectTcp({ host, port })
    const options = { ...tls, servername: peer.identity, minVersion: 'TLSv1.3' } as const
    const socket = connect({ ...options, socket: line })
    const end = (error?: Error): void => {
      socket.destroy()
      done(error)
    }
    socket.setTimeout(patienceMs, () => end(new Error('no answer within 10 s')))
    socket.once('error', end)
    // In TLS 1.3 a certificate of ours that is refused is told only after that.
    socket.once('secureConnect', () => setTimeout(end, settleMs))
  })
  const ms = Math.round(performance.now() - began)
  if (fault === undefined) return ok(peer.check, `${where} is ${peer.identity} (${ms} ms)`)
  return bad(peer.check, `${where}: ${fault.message}`, hintFor(fault, peer))
}

const settleMs = 200

function hintFor(fault: Error, { identity }: Peer): string {
  const code = 'code' in fault ? String(fault.code) : ''
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'is the name right, and the network there?'
  if (code === 'ECONNREFUSED') return 'the machine is there, the program is not: is it running?'
  if (/CERT|ALTNAME|SSL/.test(code)) return `it does not prove to be ${identity}, or refuses us`
  return 'a firewall, or the wrong address?'
}

function place(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url)
  const usual = protocol === 'mqtts:' ? 8883 : 443
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port) }
}

/** On one core, for a quarter of a second each. */
export function ciphers(): Finding {
  const key = randomBytes(32)
  const chacha = rate((bytes) => {
    const options = { authTagLength: 16 }
    const cipher = createCipheriv('chacha20-poly1305', key, key.subarray(0, 12), options)
    cipher.update(bytes)
    cipher.final()
  })
  const aes = rate((bytes) => {
    const cipher = createCipheriv('aes-128-gcm', key.subarray(0, 16), key.subarray(0, 12))
    cipher.update(bytes)
    cipher.final()
  })
  const sha = rate((bytes) => createHash('sha256').update(bytes).digest())
  const [a, b, c] = [chacha, aes, sha].map((bytes) => `${formatBytes(Math.round(bytes))}/s`)
  const rates = `ChaCha20 ${a}, AES ${b}, SHA-256 ${c}`
  return ok('cipher', `${rates}; ${cipherName()} comes first`)
}

/** Bytes a second. */
function rate(work: (bytes: Buffer) => void): number {
  const bytes = Buffer.alloc(64 * 1024)
  const began = performance.now()
  let done = 0
  while (performance.now() - began < 250) {
    for (let n = 0; n < 16; n++) work(bytes)
    done += 16 * bytes.length
  }
  return (done * 1000) / (performance.now() - began)
}
