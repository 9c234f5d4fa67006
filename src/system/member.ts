/** What every program of ours needs to take part: keys, certificates, the directory, ways to dial. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ConnectBus } from '../bus/bus.ts'
import { mqttBus } from '../bus/mqtt.ts'
import { webSocketPath } from '../door/websocket.ts'
import { limits } from '../limits.ts'
import { timeValue } from '../protocol/scalars.ts'
import { type Topics, topicsUnder } from '../protocol/topics.ts'
import type { State } from '../state/state.ts'
import { type Dialler, httpsDial } from '../transfer/https.ts'
import { pacedDial, paceOf } from '../transfer/pace.ts'
import { drop } from '../transfer/pull.ts'
import type { Address, Dial } from '../transfer/transfer.ts'
import { type Windows, windowsOf } from '../transfer/windows.ts'
import { type Directory, documentBytesMax, documentTag, openDirectory } from '../trust/directory.ts'
import { nodeKeys, nodeSigner } from '../trust/keys.ts'
import type { Keys, Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { minutesEast } from './clock.ts'
import type { Values } from './config.ts'
import type { clientShape } from './config-shapes.ts'

/** The part of every program's configuration that says who it is and whom it talks to; paths are absolute. */
export type MemberConfig = Values<Pick<typeof clientShape, CommonKey>>
type CommonKey =
  | 'name'
  | 'archive'
  | 'owner'
  | 'ca'
  | 'certificate'
  | 'key'
  | 'topics.prefix'
  | 'broker.url'
  | 'broker.identity'

/** Where the archive document is fetched, and how fast; the tracker itself needs none. */
export type TrackerAddress = Partial<
  Values<
    Pick<typeof clientShape, 'tracker.url' | 'tracker.identity' | 'link.limit' | 'link.windows'>
  >
>

export interface Member {
  readonly name: string
  /** `cert` is another after `certify`. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly keys: Keys
  readonly signer: Signer & { readonly publicKey: string }
  readonly directory: Directory
  readonly topics: Topics
  readonly dial: Dial & Dialler
  readonly connect: ConnectBus
  /** When what can wait may go by the tracker's exchange. */
  readonly windows: Windows
  /** What the tracker's clock said, in milliseconds since 1970; undefined when there is nobody to ask. */
  refresh(): Promise<number | undefined>
  /** Where the tracker may be, for who has no certificate that counts. */
  trackers(): Address[]
  /** From now on this is our certificate, of the same key. */
  certify(certificate: string): void
}

/** Reads key and certificates and opens the directory, with the document that lies beside them or a newer one. */
export async function openMember(
  world: World,
  config: MemberConfig & TrackerAddress,
  state: State,
  connect?: ConnectBus,
): Promise<Member> {
  const read = (path: string): string => readFileSync(path, 'utf8')
  const tls = { ca: read(config.ca), cert: read(config.certificate), key: read(config.key) }
  const keys = nodeKeys()
  const known: { directory?: Directory } = {}
  const admit = (name: string, key: string): boolean => !known.directory?.revoked(name, key)
  const dial = limited(world, config, httpsDial({ tls, admit, world }))
  const directory = await openDirectory(
    { keys, owner: config.owner, archive: config.archive, state },
    firstDocument(config),
  )
  known.directory = directory
  const refresh = (): Promise<number | undefined> => fetchDocument(dial, config, directory)
  return {
    name: config.name,
    tls,
    keys,
    signer: nodeSigner(tls.key),
    directory,
    topics: topicsUnder(config['topics.prefix']),
    dial,
    connect:
      connect ??
      mqttBus({
        url: () => brokersOf(directory, config),
        ...{ identity: config['broker.identity'], tls, world },
      }),
    windows: windowsOf({
      spans: config['link.windows'] ?? [],
      clock: world.clock,
      minutesEast,
      earliest: () => timeValue(directory.document().issuedAt),
      counts: ({ identity }) => identity === config['tracker.identity'],
    }),
    refresh,
    trackers: () => trackerAt(config, directory),
    certify(cert) {
      tls.cert = cert
      dial.certify(cert)
    },
  }
}

/** What goes to and from the tracker's exchange passes the internet; a client's own is on the same network. */
function limited(
  { clock }: World,
  { 'link.limit': limit, 'tracker.identity': tracker }: TrackerAddress,
  dial: Member['dial'],
): Member['dial'] {
  if (limit === undefined) return dial
  const slow = pacedDial(dial, paceOf(clock, limit), ({ identity }) => identity === tracker)
  return Object.assign(slow, { close: dial.close, certify: dial.certify })
}

/** The document that came with key and certificate; a newer one is kept in the state. */
export const documentBeside = (config: Pick<MemberConfig, 'ca'>): string =>
  join(dirname(config.ca), 'archive-document')

function firstDocument(config: MemberConfig): Uint8Array | undefined {
  try {
    return readFileSync(documentBeside(config))
  } catch {
    return undefined
  }
}

/** Keeps a newer document beside the keys: the next run may find no tracker, or no disk. */
export function keepBeside(
  { random, log }: Pick<World, 'random' | 'log'>,
  config: Pick<MemberConfig, 'ca'>,
  { sealed }: Directory,
): void {
  const path = documentBeside(config)
  const draft = `${path}.${Buffer.from(random.bytes(6)).toString('hex')}`
  try {
    writeFileSync(draft, sealed(), { flush: true })
    renameSync(draft, path)
  } catch (error) {
    log.info('document.notKept', { path, why: String(error) })
    rmSync(draft, { force: true })
  }
}

/** The newest first, once the tracker has moved; what the configuration says is never forgotten. */
function brokersOf(directory: Directory, config: MemberConfig & TrackerAddress): string[] {
  const { brokers = [], exchanges } = directory.document()
  const usable = brokers.filter((one) => /^(mqtts|wss):/.test(one) && URL.canParse(one))
  const trackers = [...exchanges.flatMap(({ urls }) => urls), config['tracker.url'] ?? '']
  const all = [...usable, config['broker.url']].flatMap((one) => [one, ...otherWay(one, trackers)])
  return [...new Set(all)]
}

/** Where broker and exchange share a port, there is MQTT in WebSockets for networks that look at what is spoken. */
function otherWay(broker: string, trackers: readonly string[]): string[] {
  const one = URL.parse(broker)
  const isShared = trackers.some((tracker) => {
    const other = URL.parse(tracker)
    return one?.hostname === other?.hostname && one?.port === (other?.port || '443')
  })
  return one?.protocol === 'mqtts:' && isShared ? [`wss://${one.host}${webSocketPath}`] : []
}

/** Where the tracker may be: once it has moved, as the owner says, and then as the configuration does. */
function trackerAt(config: TrackerAddress, directory: Directory): Address[] {
  const { 'tracker.url': url, 'tracker.identity': identity } = config
  if (url === undefined || identity === undefined) return []
  const { exchanges, brokers } = directory.document()
  const said = exchanges.find((one) => one.identity === identity)?.urls ?? []
  const all = brokers === undefined ? [url] : [...said, url]
  return [...new Set(all)].map((one) => ({ identity, url: one }))
}

/** Whoever hands the document over need not be trusted: only a newer one by the owner is taken. */
async function fetchDocument(
  dial: Dial,
  config: TrackerAddress,
  directory: Directory,
): Promise<number | undefined> {
  let failure: unknown
  for (const from of trackerAt(config, directory))
    try {
      return await fetchFrom(dial, from, directory)
    } catch (error) {
      failure = error
    }
  if (failure !== undefined) throw failure
  return undefined
}

async function fetchFrom(
  dial: Dial,
  from: Address,
  directory: Directory,
): Promise<number | undefined> {
  const headers = { 'if-none-match': documentTag(directory) }
  const request = { method: 'GET', path: '/archive-document', headers } as const
  const response = await dial(from, request, {
    connectMs: limits.connectMs,
    idleMs: limits.transferIdleMs,
  })
  const said = Number(response.headers.time)
  const time = Number.isSafeInteger(said) && said > 0 ? said : undefined
  if (response.status === 304) return time
  if (response.status !== 200)
    throw new Error(`the tracker answered ${response.status} (${await drop(response)})`)
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of response.body ?? []) {
    size += bytes.length
    if (size > documentBytesMax) throw new Error('the archive document is too long')
    parts.push(Uint8Array.from(bytes))
  }
  await directory.accept(Buffer.concat(parts))
  return time
}
