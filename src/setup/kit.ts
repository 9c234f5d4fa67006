/** The recovery kit of an archive: made where the owner key lies, proved that it can be opened, and used on an empty machine. */
import { createECDH, createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { ArchiveDocument } from '../protocol/document.ts'
import type { Kit, RecoveryPart } from '../protocol/recovery.ts'
import { openState } from '../state/sqlite.ts'
import type { TrackerConfig } from '../system/config-shapes.ts'
import { documentBeside } from '../system/member.ts'
import { recoveringKey } from '../tracker/recovery.ts'
import { sealDocument } from '../trust/directory.ts'
import { nodeSigner } from '../trust/keys.ts'
import { kitLines } from '../trust/kit.ts'
import { sealingBy, sealingKeyBytes, usualCost } from '../trust/sealing.ts'
import type { Sealing } from '../trust/trust.ts'
import { writeMemberConfig } from './configs.ts'
import { recoveringMark, signingKeys } from './signing.ts'

/** Beside the tracker's configuration: the key of what pillars keep, and what is known of kits. */
const partKeyFile = 'recovery.key'
const noteFile = 'recovery-kit.json'
const usualPrefix = 'colonnade'
const usualBroker = 'tracker'

interface KitNote {
  readonly madeAt: string
  /** Digest of what a kit says, so that another one, or one that is out of date, is told from it. */
  readonly of: string
  readonly confirmedAt?: string
}

/** Made when it is wanted first. */
export function partKey(home: string): Buffer {
  const path = join(home, partKeyFile)
  if (!existsSync(path))
    writeSecret(path, `${randomBytes(sealingKeyBytes).toString('base64url')}\n`)
  return Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url')
}

export const partSealing = (home: string, archive: string): Sealing =>
  sealingBy(partKey(home), `colonnade recovery ${archive}`)

/** What a kit of this archive would say now; throws when the owner key is not here. */
function kitOf(config: TrackerConfig, madeAt: string): Kit {
  const keys = signingKeys(config['owner-key'])
  if (!keys)
    throw new Error('the owner key and the authority are not here: put them back, and repeat it')
  const { 'broker.identity': identity, 'topics.prefix': prefix } = config
  return {
    ...{ archive: config.archive, madeAt },
    ...{ exchange: config['exchange.urls'][0] ?? '', broker: config['broker.url'] },
    ...(identity === usualBroker ? {} : { brokerIdentity: identity }),
    ...(prefix === usualPrefix ? {} : { prefix }),
    owner: scalarOf(keys.ownerKey),
    authority: scalarOf(keys.authority.privateKey),
    tracker: scalarOf(readFileSync(config.key, 'utf8')),
    part: partKey(homeOf(config)).toString('base64url'),
    certificate: new X509Certificate(keys.authority.certificate).raw.toString('base64url'),
  }
}

const homeOf = (config: Pick<TrackerConfig, 'ca'>): string => dirname(documentBeside(config))

/** Whatever differs makes it another kit, but the day it was made. */
const digestOfKit = ({ madeAt: _, ...kit }: Kit): string =>
  createHash('sha256').update(JSON.stringify(kit)).digest('hex')

/** Where the owner key has been taken away, only what is no secret can be compared. */
const addressDigest = (kit: Pick<Kit, 'exchange' | 'broker'>): string =>
  createHash('sha256').update(`${kit.exchange} ${kit.broker}`).digest('hex')

/** The page, and the note that it has to be confirmed. */
export function makeKit(
  config: TrackerConfig,
  passphrase: string,
  now: number,
  cost = usualCost,
): string {
  const kit = kitOf(config, new Date(now).toISOString())
  writeNote(homeOf(config), { madeAt: kit.madeAt, of: digestOfKit(kit) }, kit)
  return pageOf(kit, kitLines(kit, passphrase, cost))
}

/** Throws a sentence unless the kit is of this archive as it is. */
export function confirmKit(config: TrackerConfig, kit: Kit, now: number): void {
  if (kit.archive !== config.archive || nodeSigner(pemOf(kit.owner)).publicKey !== config.owner)
    throw new Error(`this is a kit of another archive: ${kit.archive}`)
  const note = readNote(homeOf(config))
  if (note?.of !== digestOfKit(kit))
    throw new Error('this kit is out of date: make a new one by `colonnade-tracker kit write`')
  writeNote(homeOf(config), { ...note, confirmedAt: new Date(now).toISOString() }, kit)
}

/** What is wrong with the kit, as a sentence; undefined when it is confirmed, or the archive is a trial on one machine. */
export function kitFault(config: TrackerConfig): string | undefined {
  const urls = config['exchange.urls'].map((url) => new URL(url).hostname)
  if (urls.every((host) => /^(127\.|localhost$|\[::1\]$)/.test(host))) return undefined
  const note = readNote(homeOf(config))
  if (!note) return 'this archive has no recovery kit: `colonnade-tracker kit write` makes one'
  const exchange = config['exchange.urls'][0] ?? ''
  if (note.address !== addressDigest({ exchange, broker: config['broker.url'] }))
    return 'the tracker has another address than its recovery kit says: `colonnade-tracker kit write` makes a new one'
  if (note.confirmedAt === undefined)
    return 'nobody has tried yet whether the recovery kit can be opened: `colonnade-tracker kit confirm`'
  return undefined
}

function readNote(home: string): (KitNote & { readonly address: string }) | undefined {
  try {
    return JSON.parse(readFileSync(join(home, noteFile), 'utf8'))
  } catch {
    return undefined
  }
}

const writeNote = (home: string, note: KitNote, kit: Kit): void =>
  writeWhole(
    join(home, noteFile),
    `${JSON.stringify({ ...note, address: addressDigest(kit) })}\n`,
    0o600,
  )

function pageOf({ archive, madeAt, exchange, broker }: Kit, lines: readonly string[]): string {
  return `RECOVERY KIT OF THE COLONNADE ARCHIVE "${archive}"

With this page and its passphrase whoever has both is the owner of the archive. Keep them
apart, and neither of them on the server. It is a file and a page: copy it to a stick, print it.

  made      ${madeAt}
  tracker   ${exchange}
  broker    ${broker}

When the server is lost: install colonnade-tracker on another machine that is reached under the
same name, and run

  colonnade-tracker restore THIS-FILE /var/lib/colonnade-tracker

From paper: type the numbered lines into a file, in capitals or not. Each line is checked by itself.
There is no I, L, O or U in them: what looks so is a 1 or a 0.

${lines.join('\n')}

Passphrase (write it down elsewhere): ______________________________
`
}

export interface Restoring {
  /** Another name or address of the same machine; that of the kit when absent. */
  readonly host?: string
  readonly now: number
}

/** Makes an empty folder that of the archive's tracker again; what it lacks comes from the pillars. */
export async function restoreArchive(folder: string, kit: Kit, how: Restoring): Promise<string> {
  const [archive, tracker] = [join(folder, 'archive'), join(folder, 'tracker')]
  if (existsSync(archive) || existsSync(tracker))
    throw new Error(`${folder} holds an archive already: name another folder`)
  const { issue } = await import('../trust/certificates.ts')
  for (const path of [archive, tracker]) mkdirSync(path, { recursive: true, mode: 0o700 })
  const authority = { certificate: certificateOf(kit), privateKey: pemOf(kit.authority) }
  const [owner, signer] = [nodeSigner(pemOf(kit.owner)), nodeSigner(pemOf(kit.tracker))]
  const { publicKey } = signer
  const certificate = await issue(authority, { name: 'tracker', publicKey }, how.now)
  const [exchange, broker] = [moved(kit.exchange, how.host), moved(kit.broker, how.host)]
  const first: ArchiveDocument = {
    ...{ archive: kit.archive, version: 0, issuedAt: new Date(how.now).toISOString() },
    identities: [{ name: 'tracker', role: 'tracker', publicKey, certificate }],
    collections: [],
    exchanges: [{ identity: 'tracker', urls: [exchange] }],
  }
  const sealed = sealDocument(first, owner)
  for (const [path, text] of [
    [join(archive, 'owner.key'), pemOf(kit.owner)],
    [join(archive, 'ca.key'), authority.privateKey],
    [join(tracker, 'key.pem'), pemOf(kit.tracker)],
    [join(tracker, partKeyFile), `${kit.part}\n`],
  ] as const)
    writeSecret(path, text)
  for (const into of [archive, tracker]) {
    writeFileSync(join(into, 'ca.pem'), authority.certificate)
    writeFileSync(join(into, 'archive-document'), sealed)
  }
  writeFileSync(join(tracker, 'certificate.pem'), certificate)
  writeFileSync(join(tracker, recoveringMark), '', { mode: 0o600 })
  const state = openState(join(tracker, 'state.sqlite'))
  await state.change([[recoveringKey, '[]']])
  await state.close()
  const port = (url: string, standard: number): string => new URL(url).port || `${standard}`
  const isOurs = kit.brokerIdentity === undefined
  const isShared = port(broker, 8883) === port(exchange, 443)
  writeMemberConfig(tracker, {
    ...{ role: 'tracker', name: 'tracker', archive: kit.archive, owner: owner.publicKey },
    ...{ exchangeUrl: exchange, brokerUrl: broker },
    values: {
      'owner-key': '../archive/owner.key',
      'broker.listen': !isOurs
        ? ''
        : isShared
          ? 'exchange'
          : `${listenOf(broker)}:${port(broker, 8883)}`,
      'exchange.listen': `${listenOf(exchange)}:${port(exchange, 443)}`,
      ...(kit.brokerIdentity === undefined ? {} : { 'broker.identity': kit.brokerIdentity }),
      ...(kit.prefix === undefined ? {} : { 'topics.prefix': kit.prefix }),
    },
  })
  return join(tracker, 'tracker.toml')
}

const listenOf = (url: string): string =>
  new URL(url).hostname === '127.0.0.1' ? '127.0.0.1' : '0.0.0.0'

function moved(url: string, host: string | undefined): string {
  if (host === undefined) return url
  const { protocol, port } = new URL(url)
  return `${protocol}//${host}${port === '' ? '' : `:${port}`}`
}

/** Codes that may still be used, for the part that pillars keep. */
export function openInvitations(home: string): RecoveryPart['invitations'] {
  const folder = join(home, 'invitations')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
}

/** What is there already stays. */
export function takeInvitations(home: string, invitations: RecoveryPart['invitations']): void {
  const folder = join(home, 'invitations')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const { name, text } of invitations)
    if (/^[0-9a-f]{64}\.json$/.test(name) && !existsSync(join(folder, name)))
      writeWhole(join(folder, name), text, 0o600)
}

const certificateOf = ({ certificate }: Kit): string =>
  new X509Certificate(Buffer.from(certificate, 'base64url')).toString()

/** The 32 bytes of a P-256 private key (RFC 7518 §6.2.2.1), and the key again. */
const scalarOf = (pem: string): string => createPrivateKey(pem).export({ format: 'jwk' }).d ?? ''

function pemOf(scalar: string): string {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(scalar, 'base64url')
  const point = pair.getPublicKey()
  const half = (from: number): string => point.subarray(from, from + 32).toString('base64url')
  const key = { kty: 'EC', crv: 'P-256', d: scalar, x: half(1), y: half(33) }
  return createPrivateKey({ key, format: 'jwk' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

const writeSecret = (path: string, text: string): void =>
  writeFileSync(path, text, { mode: 0o600, flag: 'wx', flush: true })

/** A power cut leaves the old one or the new one. */
function writeWhole(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode, flush: true })
  renameSync(`${path}.new`, path)
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}
