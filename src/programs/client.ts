/** A client of an archive, put together from its configuration; what the command line and the box both use. */
import { networkInterfaces } from 'node:os'
import { type Client, type ClientParts, startClient } from '../client/client.ts'
import type { Disk } from '../disk/disk.ts'
import { openState } from '../state/sqlite.ts'
import type { ClientConfig } from '../system/config-shapes.ts'
import { keepBeside, type Member, openMember } from '../system/member.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import { httpsServe } from '../transfer/https.ts'
import { isPrivate } from '../transfer/route.ts'
import type { Serve } from '../transfer/transfer.ts'
import type { World } from '../world/world.ts'
import { collectOften, hostPort } from './program.ts'
import { renewCertificate } from './renewing.ts'

export interface OpenClient {
  readonly client: Client
  /** The whole file system of the user, from its root. */
  readonly disk: Disk
  close(): Promise<void>
}

export async function openClient(
  world: World,
  config: ClientConfig,
  options: Pick<ClientParts, 'idleMs' | 'onAlarm' | 'onClosed'> = {},
): Promise<OpenClient> {
  collectOften()
  // Two commands at once share nothing but the keys: what a run remembers, it remembers in memory.
  const state = openState(':memory:')
  const member = await openMember(world, config, state)
  const now = await renewDocument(world, config, member)
  await renewCertificate(world, config, member, now ?? world.clock.now())
  const thread = await openVolumeThread({ root: '/' })
  const client = await startClient({
    ...member,
    ...options,
    world,
    instance: Buffer.from(world.random.bytes(6)).toString('hex'),
    serve: (serve) => ownExchange(world, config, member, serve),
  })
  return {
    client,
    disk: thread.disk,
    async close() {
      await client.close()
      member.dial.close()
      await thread.close()
      await state.close()
    },
  }
}

/** Fetches the archive document, and keeps a newer one beside the keys: the next run may find no tracker. */
async function renewDocument(
  world: World,
  config: ClientConfig,
  member: Member,
): Promise<number | undefined> {
  const { directory } = member
  const before = directory.document().version
  const now = await member.refresh().catch((error) => {
    world.log.info('document.notFetched', { why: String(error) })
    return undefined
  })
  if (directory.document().version !== before) keepBeside(world, config, directory)
  return now
}

/** Opens our own exchange as the configuration says. */
export async function ownExchange(
  world: World,
  config: ClientConfig,
  { tls, directory }: Pick<Member, 'tls' | 'directory'>,
  serve: Serve,
): Promise<{ urls: string[]; close(): Promise<void> }> {
  const [host, port] = hostPort(config['exchange.listen'])
  const served = await httpsServe({ host, port, tls, serve, admit: directory.admits, world })
  const unwatch = directory.watch(() => served.recheck())
  const hosts =
    config['exchange.advertise'].length > 0 ? config['exchange.advertise'] : addresses(host)
  return {
    urls: hosts.map((one) => `https://${one}:${served.port}`).filter(isPrivate),
    close() {
      unwatch()
      return served.close()
    },
  }
}

/** Addresses at which pillars of the same network may find us; at most four, and our own loopback only without others. */
function addresses(listen: string): string[] {
  if (listen !== '0.0.0.0' && listen !== '::')
    return [listen.includes(':') ? `[${listen}]` : listen]
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? [])
  const near = all.filter((one) => one.family === 'IPv4' && isPrivate(`https://${one.address}:1`))
  // Each address that leads nowhere takes its share of the second that a pillar tries them.
  const outside = near.filter((one) => !one.internal)
  return (outside.length > 0 ? outside : near).map((one) => one.address).slice(0, 4)
}
