/** The tracker, put together from its parts: opened in order, closed in reverse. */
import { mkdirSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type EmbeddedBroker, embeddedBroker } from '../bus/embedded.ts'
import { openSpool } from '../exchange/spool.ts'
import { timeText } from '../protocol/scalars.ts'
import { mayRetain, mayUse } from '../protocol/topics.ts'
import { type EnrolmentParts, enrolment } from '../setup/enrolment.ts'
import { kitFault, openInvitations, partSealing, takeInvitations } from '../setup/kit.ts'
import { publishNext, recoveringMark, signingKeys } from '../setup/signing.ts'
import { openState } from '../state/sqlite.ts'
import type { TrackerConfig } from '../system/config-shapes.ts'
import { documentBeside, type Member, openMember } from '../system/member.ts'
import { version } from '../system/version.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import type { RecoveryParts } from '../tracker/recovery.ts'
import { startTracker, type Tracker } from '../tracker/tracker.ts'
import { httpsServe } from '../transfer/https.ts'
import type { Serve } from '../transfer/transfer.ts'
import type { World } from '../world/world.ts'
import { hostPort } from './program.ts'
import { endingSoon, keepOwnRenewed } from './renewing.ts'
import { openVaultDisk, type VaultDisk } from './vault.ts'

/** Opens everything in order; the function that closes it in reverse. Rejects with a sentence for the owner. */
export async function runTracker(
  world: World,
  config: TrackerConfig,
): Promise<() => Promise<void>> {
  const home = config.home ?? dirname(config.ca)
  const state = openState(join(home, 'state.sqlite'))
  const spoolFolder = config['spool.folder']
  mkdirSync(spoolFolder, { recursive: true, mode: 0o700 })
  const thread = await openVolumeThread({ root: spoolFolder })
  const spool = await openSpool(world, thread.disk, state, {
    quotaBytes: config['spool.quota'],
    expiryMs: config['spool.expiry'],
  })
  const broker = config['broker.listen'] === '' ? undefined : await openBroker(world, config)
  const member = await openMember(world, config, state, broker?.broker.connectLocal)
  broker?.serveFor(member)
  let vault: VaultDisk | undefined
  const fragments = async (): Promise<VaultDisk['parts']> => {
    vault = await openVaultDisk(world, config)
    return vault.parts
  }
  const beside = documentBeside(config)
  const keepDocument = (sealed: Uint8Array): void => {
    writeFileSync(`${beside}.new`, sealed, { flush: true })
    renameSync(`${beside}.new`, beside)
  }
  const repair = { everyMs: config['repair.every'], settleMs: config['repair.settle'] }
  const ours = { world, version, state, spool, repair, keepDocument }
  const recovering = recoveryOf(world, config, { member, keepDocument })
  const notes = (): string[] => [
    ...[kitFault(config) ?? []].flat(),
    ...endingSoon(member.directory.document(), world.clock.now()),
  ]
  const tracker = await startTracker({ ...member, ...ours, fragments, notes, ...recovering })
  const { recovery } = tracker
  const guest = (name: string, key: string): boolean => recovery?.guest(name, key) ?? false
  broker?.letIn(guest)
  if (recovery && !recovery.missing())
    rmSync(join(dirname(beside), recoveringMark), { force: true })
  const watching = watchDocument(beside, member, tracker)
  const codes = watchCodes(dirname(beside), tracker)
  const [host, port] = hostPort(config['exchange.listen'])
  const { tls, directory } = member
  const publishing = {
    ...{ world, directory, documentPath: beside, keepDocument, ownerKey: config['owner-key'] },
    announce: () => tracker.announce(),
  }
  const strangers = strangersOf(config, { ...publishing, state, ca: tls.ca })
  const admit = (name: string, key: string): boolean =>
    directory.admits(name, key) || guest(name, key)
  const mqtt = broker?.broker.take
  const door = { serve: tracker.serve, strangers, admit, ...(mqtt && { mqtt }) }
  const served = await httpsServe({ host, port, tls, ...door, world })
  directory.watch(() => served.recheck())
  const stop = new AbortController()
  const certify = (certificate: string): void => {
    for (const one of [served, member, broker?.broker]) one?.certify(certificate)
  }
  const own = { name: config.name, path: config.certificate }
  const renewing = keepOwnRenewed(publishing, own, certify, stop.signal)
  world.log.info('tracker.started', {
    exchange: served.port,
    broker: broker ? broker.broker.port || served.port : config['broker.url'],
  })
  return async () => {
    stop.abort()
    watching.close()
    codes.close()
    await renewing
    await tracker.stop()
    await served.close()
    await broker?.broker.close()
    member.dial.close()
    await vault?.close()
    await thread.close()
    await state.close()
    world.log.info('tracker.stopped', {})
  }
}

/** Who has no certificate that counts: to be let in, or to get a new one. */
const strangersOf = (
  config: TrackerConfig,
  parts: Pick<
    EnrolmentParts,
    | 'world'
    | 'state'
    | 'directory'
    | 'documentPath'
    | 'keepDocument'
    | 'ownerKey'
    | 'announce'
    | 'ca'
  >,
): Serve =>
  enrolment({
    ...parts,
    home: dirname(parts.documentPath),
    broker: {
      url: config['broker.url'],
      identity: config['broker.identity'],
      prefix: config['topics.prefix'],
    },
    exchangeUrl: config['exchange.urls'][0] ?? '',
    graceMs: config['renewal.grace'],
  })

/** The broker has to be there before the member that asks it, and asks the member's directory who may do what. */
async function openBroker(
  world: World,
  config: TrackerConfig,
): Promise<{ broker: EmbeddedBroker; serveFor(member: Member): void; letIn(guest: Guest): void }> {
  let known: Member | undefined
  let guest: Guest = () => false
  const listen = config['broker.listen']
  const [host, port] = listen === 'exchange' ? ['', 'none' as const] : hostPort(listen)
  const read = (path: string): string => readFileSync(path, 'utf8')
  const broker = await embeddedBroker({
    host,
    port,
    tls: { ca: read(config.ca), cert: read(config.certificate), key: read(config.key) },
    world,
    admit: (identity, key) =>
      known?.directory.admits(identity, key) === true || guest(identity, key),
    allow(identity, action, topic) {
      // Whom a restored tracker does not know yet is heard by nobody, but has to hear that he is waited for.
      const role =
        known?.directory.identity(identity)?.role ?? (guest(identity, '') ? 'pillar' : undefined)
      return role !== undefined && mayUse(config['topics.prefix'], role, identity, action, topic)
    },
    mayRetain: (topic) => mayRetain(config['topics.prefix'], topic),
    onForbidden: (identity, topic) => world.log.warn('broker.forbidden', { identity, topic }),
  })
  return {
    broker,
    serveFor(member) {
      known = member
      let names = namesIn(member)
      member.directory.watch(() => {
        broker.recheck()
        // Who was a guest comes in again as what he is.
        const now = namesIn(member)
        for (const name of now) if (!names.has(name) && guest(name, '')) broker.drop(name)
        names = now
      })
    },
    letIn(admitted) {
      guest = admitted
    },
  }
}

type Guest = (identity: string, key: string) => boolean

const namesIn = ({ directory }: Member): Set<string> =>
  new Set(directory.document().identities.map(({ name }) => name))

/** What pillars keep for the day on which this machine is lost. */
function recoveryOf(
  world: World,
  config: TrackerConfig,
  { member, keepDocument }: { member: Member; keepDocument(sealed: Uint8Array): void },
): { recovery: RecoveryParts } {
  const documentPath = documentBeside(config)
  const home = dirname(documentPath)
  return {
    recovery: {
      sealing: partSealing(home, config.archive),
      invitations: () => openInvitations(home),
      takeInvitations: (some) => takeInvitations(home, some),
      async over(change) {
        rmSync(join(home, recoveringMark), { force: true })
        const keys = signingKeys(config['owner-key'])
        const publishing = { directory: member.directory, documentPath, keepDocument }
        if (keys) await publishNext(publishing, keys, timeText(world.clock.now()), change)
      },
      replaced() {
        world.log.error('tracker.ends', { why: 'the archive was restored on another machine' })
        process.kill(process.pid, 'SIGTERM')
      },
    },
  }
}

/** Codes that were given out are a part of what pillars keep. */
function watchCodes(home: string, { recovery }: Tracker): { close(): void } {
  const folder = join(home, 'invitations')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return watch(folder, () => void recovery?.renew().catch(() => undefined))
}

/** The owner writes a newer archive document beside our configuration: it is taken, and told to all, at once. */
function watchDocument(path: string, member: Member, tracker: Tracker): { close(): void } {
  return watch(dirname(path), (_event, file) => {
    if (file !== basename(path)) return
    void member.directory
      .accept(readFileSync(path))
      .then((newer) => newer && tracker.announce())
      .catch(() => undefined)
  })
}
