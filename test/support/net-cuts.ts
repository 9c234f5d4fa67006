/** One file on its way between the client and one pillar, and something that happens in the middle. */
import { join } from 'node:path'
import { limits } from '../../src/limits.ts'
import { bigFile, difference, MiB } from './net-files.ts'
import type { Network } from './net-hosts.ts'
import { crossed, onLan, type Scene } from './net-stories.ts'
import { until } from './net-watch.ts'

export const fileBytes = 64 * MiB
const cutAt = 24 * MiB
export const cutPillar = 'pillar-1'

/** What may cross a link for so many bytes and one interruption: headers of packets and records, one page twice. */
export const withOnePageTwice = (bytes: number): number =>
  bytes * 1.05 + MiB + limits.transferPageBytes

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

export interface Crossed {
  readonly way: 'put' | 'get'
  /** Bytes out of the sender in all. */
  readonly sent: number
  /** Bytes that came to the tracker. */
  readonly throughTracker: number
  /** Bytes that the receiver had when it happened. */
  readonly before: number
  readonly differs: string
}

/** Puts a file on one pillar, or fetches it; what happens, happens when a third of it has come. */
async function interrupted(
  scene: Scene,
  way: 'put' | 'get',
  happening: (network: Network) => Promise<void>,
): Promise<Crossed> {
  const { network, fleet, home } = scene
  const [sender, receiver] = way === 'put' ? ['client', cutPillar] : [cutPillar, 'client']
  network.slowDown(sender, 160e6)
  network.slowDown(receiver, 160e6)
  const out = crossed(network, sender)
  const into = crossed(network, receiver)
  const tracker = crossed(network, 'tracker')
  const { source, kept, back } = placesOf(home)
  const args = way === 'put' ? [source, '--wait', 'all'] : ['--all', '-o', back]
  const command = fleet.start(way, 'solo', ...args)
  await until('a third has come', () => into().received > cutAt)
  await happening(network)
  const before = into().received
  const { code, err } = await command.ended
  if (code !== 0) throw new Error(`${way} ended with ${code}: ${err}`)
  return {
    way,
    sent: out().sent,
    throughTracker: tracker().received,
    before,
    differs: difference(source, way === 'put' ? kept : back),
  }
}

/** The file is there to be put, or is on the pillar to be fetched. */
async function ready({ fleet, home }: Scene, way: 'put' | 'get'): Promise<void> {
  const { source } = placesOf(home)
  bigFile(source, 'big.bin', fileBytes)
  if (way === 'get') await fleet.run('put', 'solo', source, '--wait', 'all')
}

/** The same happening to a put and to a get, each in an archive of its own, both at a time. */
export function tellInterrupted(
  happening: (network: Network) => Promise<void>,
): Promise<Crossed[]> {
  return Promise.all(
    (['put', 'get'] as const).map((way) =>
      onLan({}, async (scene) => {
        await ready(scene, way)
        return interrupted(scene, way, happening)
      }),
    ),
  )
}

const placesOf = (home: string) => ({
  source: join(home, 'source'),
  back: join(home, 'back'),
  kept: join(home, 'volumes', cutPillar, 'colonnade/solo/data'),
})
