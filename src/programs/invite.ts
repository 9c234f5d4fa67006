/** `colonnade-tracker invite`: codes by which boards and computers become members. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { giveTo, thisComputer } from '../machine/computer.ts'
import { firstBootShape } from '../machine/first-boot.ts'
import { parseDocument } from '../protocol/document.ts'
import type { Invitation } from '../protocol/enrolment.ts'
import { unseal } from '../protocol/envelope.ts'
import { everyCollection, type Role, roles } from '../protocol/permissions.ts'
import { isName, timeText } from '../protocol/scalars.ts'
import { fingerprintOf } from '../setup/enrolment.ts'
import { forgetInvitations, keepInvitation } from '../setup/invitations.ts'
import { revoke, revokedList } from '../setup/revoke.ts'
import { isCredential, signingKeys } from '../setup/signing.ts'
import { type Command, InvalidArgumentError, Option } from '../system/commands.ts'
import { writeConfig } from '../system/config.ts'
import { type TrackerConfig, trackerShape } from '../system/config-shapes.ts'
import { documentBeside } from '../system/member.ts'
import { codeHalfBytes, codeText } from '../trust/code.ts'
import { documentBytesMax } from '../trust/directory.ts'
import { parseDuration } from '../world/units.ts'
import { read } from './program.ts'

interface InviteOptions {
  readonly config: string
  readonly site?: string
  readonly kind: 'file' | 'checksum'
  readonly replace?: true
  readonly role: Role
  readonly collection?: readonly string[]
  /** Milliseconds. */
  readonly valid: number
  readonly batch?: number
  readonly out?: string
}

/** Where the packages keep the tracker; else its configuration is looked for here. */
const installed = '/var/lib/colonnade-tracker/tracker/tracker.toml'
const standardPort = 8443
const batchMax = 1_000

export const trackerConfigHere = (): string =>
  !existsSync('tracker.toml') && existsSync(installed) ? installed : 'tracker.toml'

export function inviteCommands(program: Command): void {
  program
    .command('invite <role> <name>')
    .description('print a code that makes a board a pillar, or a computer a client, once')
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .option('--site <place>', 'where the pillar stands')
    .addOption(
      new Option('--kind <kind>', 'of a pillar: what it keeps, the files or their checksums only')
        .choices(['file', 'checksum'])
        .default('file'),
    )
    .addOption(
      new Option('--role <role>', 'of a client: depositor puts and gets, curator deletes, too')
        .choices([...roles])
        .default('depositor'),
    )
    .option('--collection <names...>', 'of a client: only in these collections')
    .option('--replace', 'for a new board under an old name: what the old one has counts no more')
    .option('--valid <time>', 'how long the code may be used (24h)', durationOf, 24 * 3_600_000)
    .option('--batch <n>', 'so many codes, for NAME-1 to NAME-n, with files for cards', countOf)
    .option('--out <folder>', 'where the files of a batch go; a folder of its name otherwise')
    .addHelpText(
      'after',
      `
Examples:
  colonnade-tracker invite pillar attic --site home
  colonnade-tracker invite client laptop
  colonnade-tracker invite pillar shelf --batch 40 --valid 30d --out cards`,
    )
    .action((role: string, name: string, options: InviteOptions) => {
      if (role !== 'pillar' && role !== 'client')
        throw new Error('a member is a pillar or a client')
      const config = read(options.config, trackerShape)
      const { batch } = options
      if (batch === undefined) return inviteOne(config, role, name, options)
      if (role !== 'pillar') throw new Error('a batch is of pillars')
      inviteMany(config, name, batch, options)
    })
}

export function revokeCommand(program: Command): void {
  program
    .command('revoke <name>')
    .description(
      'a member is not to be trusted any more (its key may be in wrong hands): it is shut out at once; see also retire, lost',
    )
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .addHelpText('after', '\nExample:\n  colonnade-tracker revoke attic')
    .action(async (name: string, options: { config: string }) => {
      const config = read(options.config, trackerShape)
      const document = documentBeside(config)
      const lines = await revoke(document, config['owner-key'], name)
      giveTo(thisComputer, 'colonnade-tracker', dirname(document))
      tell(`${name} is revoked; the tracker, if it runs, tells everybody now`)
      for (const line of lines) tell(line)
      if (config['broker.listen'] !== '') return
      const list = join(dirname(document), revokedList)
      tell(
        `now mosquitto: bring ${list} to where its crlfile is, write its acl anew, and restart it`,
      )
    })
}

function inviteOne(
  config: TrackerConfig,
  role: Invitation['role'],
  name: string,
  options: InviteOptions,
): void {
  const { code, expiresAt } = invite(config, role, name, options)
  const command = role === 'pillar' ? 'colonnade-agent enrol' : 'colonnade enrol'
  const where = role === 'pillar' ? 'on the board' : 'on that computer'
  tell(`${code}\n\n${where}: ${command} ${code}\nit works once, until ${expiresAt}`)
}

/** One file a card, as its boot partition wants it, and a list of all. They hold secrets until they are used. */
function inviteMany(
  config: TrackerConfig,
  name: string,
  count: number,
  options: InviteOptions,
): void {
  const folder = options.out ?? name
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const rows = Array.from({ length: count }, (_, n) => {
    const one = `${name}-${n + 1}`
    const { code, expiresAt } = invite(config, 'pillar', one, options)
    const card = join(folder, one)
    mkdirSync(card, { recursive: true, mode: 0o700 })
    writeConfig(join(card, 'colonnade.toml'), firstBootShape, { name: one, code })
    return `${one},${code},${expiresAt}`
  })
  const list = join(folder, 'codes.csv')
  writeFileSync(list, `${['name,code,valid until', ...rows].join('\n')}\n`, { mode: 0o600 })
  tell(`${list} has ${count} codes; ${folder}/NAME/colonnade.toml goes on the card of each`)
}

function invite(
  config: TrackerConfig,
  role: Invitation['role'],
  name: string,
  { site, kind, replace, valid, ...may }: InviteOptions,
): { code: string; expiresAt: string } {
  check(config, role, name, site, replace === true)
  const now = Date.now()
  const secret = randomBytes(codeHalfBytes).toString('hex')
  const invitation: Invitation = {
    ...{ role, name, replace: replace === true },
    ...(site === undefined ? {} : { site }),
    ...(kind === 'checksum' ? { kind } : {}),
    ...(role === 'client' && !replace ? { permissions: permissionsOf(may) } : {}),
    ...{ madeAt: timeText(now), expiresAt: timeText(now + valid) },
  }
  const home = dirname(documentBeside(config))
  forgetInvitations(home, now)
  keepInvitation(home, secret, invitation)
  giveTo(thisComputer, 'colonnade-tracker', join(home, 'invitations'))
  const ca = readFileSync(config.ca, 'utf8')
  const url = new URL(config['exchange.urls'][0] ?? '')
  const address =
    url.port === `${standardPort}` ? url.hostname : `${url.hostname}:${url.port || 443}`
  const code = codeText({ address, fingerprint: fingerprintOf(ca), secret })
  return { code, expiresAt: invitation.expiresAt }
}

const permissionsOf = ({
  role,
  collection = [everyCollection],
}: Pick<InviteOptions, 'role' | 'collection'>) =>
  collection.map((one) => ({ collection: one, role }))

/** What would be refused when the code is used is said now. */
function check(
  config: TrackerConfig,
  role: Invitation['role'],
  name: string,
  site: string | undefined,
  replace: boolean,
): void {
  for (const one of [name, site ?? 'x'])
    if (!isName(one)) throw new Error(`${one} is no name: a-z, 0-9 and -, 63 at most`)
  const sealed = unseal(readFileSync(documentBeside(config)), documentBytesMax)
  const document = sealed && parseDocument(sealed.line)
  const old = document?.identities.find((one) => one.name === name)
  if (old && !replace)
    throw new Error(`there is a member ${name} already: --replace gives its name to a new board`)
  if (old && old.role !== role) throw new Error(`${name} is a ${old.role}, and stays one`)
  // What systemd gives to the service is not for us to see.
  if (isCredential(config['owner-key']) || signingKeys(config['owner-key']) !== undefined) return
  throw new Error(
    'the tracker can let nobody in: its owner-key names no folder with owner.key, ca.pem and ca.key. ' +
      'Put them back for as long as it takes, or use `colonnade-tracker add` where they are',
  )
}

function durationOf(text: string): number {
  const ms = parseDuration(text)
  if (!ms) throw new InvalidArgumentError('It is a duration, like 24h or 30d.')
  return ms
}

function countOf(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0
  if (count < 1 || count > batchMax) throw new InvalidArgumentError(`It is 1 to ${batchMax}.`)
  return count
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
