/** Becoming a member by a code: the key is made here and stays here; everything else comes from the tracker. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { dirname, join } from 'node:path'
import { proxiedAgent } from '../door/proxy.ts'
import { limits } from '../limits.ts'
import {
  type Enrolment,
  enrolmentProof,
  type InvitedRole,
  parseEnrolment,
} from '../protocol/enrolment.ts'
import { httpsDial } from '../transfer/https.ts'
import type { Dial } from '../transfer/transfer.ts'
import { type Code, readCode } from '../trust/code.ts'
import { keyOfCertificate, makeKeyPair, nodeSigner } from '../trust/keys.ts'
import type { World } from '../world/world.ts'
import { writeMemberConfig } from './configs.ts'
import { fingerprintOf } from './enrolment.ts'

/** The tracker's name is not in the code: it is the same everywhere, and its certificate must prove it. */
const trackerIdentity = 'tracker'
const standardPort = 8443
const triesMax = 6
const authorityBytesMax = 16 * 1024

export interface Enrolling {
  readonly world: World
  readonly role: InvitedRole
  /** Where the configuration is to lie, the key and the rest beside it. */
  readonly config: string
  /** Further keys of the configuration. */
  readonly values?: Readonly<Record<string, string>>
  say(line: string): void
}

/** Throws with one sentence when the code is not taken. A cut is tried again; so may the command be. */
export async function enrol(text: string, how: Enrolling): Promise<Enrolment> {
  const code = readCode(text)
  const { config, role, values = {} } = how
  const folder = dirname(config)
  if (existsSync(config)) throw new Error(`${config} is there already: this machine is a member`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const privateKey = keyAt(join(folder, 'key.pem'))
  const url = `https://${/:\d+$/.test(code.address) ? code.address : `${code.address}:${standardPort}`}`
  const ca = await authority(url, code)
  const enrolment = await asked(url, ca, how, {
    role,
    secret: code.secret,
    ...proofOf(code, privateKey),
  })
  if (keyOfCertificate(enrolment.certificate) !== nodeSigner(privateKey).publicKey)
    throw new Error('the tracker has sent the certificate of another key')
  const files = {
    'ca.pem': ca,
    'certificate.pem': enrolment.certificate,
    'archive-document': enrolment.document,
  }
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), content, { flush: true })
  // Last: where it is, everything is.
  writeMemberConfig(
    folder,
    {
      ...{ role: enrolment.role, name: enrolment.name },
      ...{ archive: enrolment.archive, owner: enrolment.owner },
      ...{ exchangeUrl: enrolment.exchangeUrl, brokerUrl: enrolment.broker.url },
      values: { ...valuesOf(enrolment), ...values },
    },
    config,
  )
  return enrolment
}

/** One that was made before stays: the tracker gives the same answer to the same key. */
function keyAt(path: string): string {
  if (!existsSync(path))
    writeFileSync(path, makeKeyPair().privateKey, { mode: 0o600, flag: 'wx', flush: true })
  return readFileSync(path, 'utf8')
}

function proofOf({ secret }: Code, privateKey: string): { publicKey: string; proof: string } {
  const signer = nodeSigner(privateKey)
  const signature = signer.sign(enrolmentProof(secret, signer.publicKey))
  const proof = `${signer.algorithm} ${Buffer.from(signature).toString('base64url')}`
  return { publicKey: signer.publicKey, proof }
}

const valuesOf = ({ site, kind, broker }: Enrolment): Record<string, string> => ({
  ...(site === undefined ? {} : { site }),
  ...(kind === 'checksum' ? { kind } : {}),
  ...(broker.identity === trackerIdentity ? {} : { 'broker.identity': broker.identity }),
  ...(broker.prefix === 'colonnade' ? {} : { 'topics.prefix': broker.prefix }),
})

/**
 * The authority's certificate. Anybody may have sent it, so nothing is told to whoever did: it counts only if it is the one
 * that the code names, and everything else goes over a connection that it vouches for.
 */
async function authority(url: string, { fingerprint }: Code): Promise<string> {
  const ca = await fetchUnproved(`${url}/enrolment/authority`)
  let found: string | undefined
  try {
    found = fingerprintOf(ca)
  } catch {
    found = undefined
  }
  if (found === fingerprint) return ca
  throw new Error(`whoever answers at ${url} is not the archive that this code is for`)
}

function fetchUnproved(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new Error(`the tracker can not be reached at ${new URL(url).host}: ${error.message}`))
    const asking = request(url, {
      rejectUnauthorized: false,
      servername: trackerIdentity,
      timeout: limits.handshakeMs,
      agent: proxiedAgent({ keepAlive: false }),
    })
    asking.on('timeout', () => asking.destroy(new Error('no answer')))
    asking.on('error', failed)
    asking.on('response', (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('error', failed)
      answer.on('data', (more: string) => {
        text += more
        if (text.length > authorityBytesMax) asking.destroy(new Error('too long an answer'))
      })
      answer.on('end', () => resolve(text))
    })
    asking.end()
  })
}

async function asked(url: string, ca: string, how: Enrolling, body: object): Promise<Enrolment> {
  const { world, say } = how
  const dial = httpsDial({ tls: { ca }, world })
  try {
    for (let tries = 1; ; tries++) {
      const [status, text] = await once(dial, url, JSON.stringify(body)).catch(
        (error: Error) => [0, error.message] as const,
      )
      const enrolment = status === 200 ? parseEnrolment(text) : undefined
      if (enrolment) return enrolment
      const isOver = status !== 0 && status !== 429
      if (isOver || tries === triesMax) throw new Error(text.trim() || `the tracker said ${status}`)
      if (status === 429) say(text.trim())
      await world.clock.sleep(status === 429 ? 20_000 : tries * 1_000)
    }
  } finally {
    dial.close()
  }
}

async function once(dial: Dial, url: string, body: string): Promise<readonly [number, string]> {
  const bytes = Buffer.from(body)
  const response = await dial(
    { identity: trackerIdentity, url },
    {
      method: 'PATCH',
      path: '/enrolment',
      headers: { 'content-length': `${bytes.length}` },
      body: (async function* () {
        yield bytes
      })(),
    },
    { connectMs: limits.handshakeMs, idleMs: limits.transferIdleMs },
  )
  const parts: Uint8Array[] = []
  for await (const part of response.body ?? []) parts.push(Uint8Array.from(part))
  return [response.status, Buffer.concat(parts).toString('utf8')]
}
