/** Stories that tests tell at a small size and `npm run measure` at full size. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bigFile, difference } from './net-files.ts'
import { type Fleet, type FleetOptions, startFleet } from './net-fleet.ts'
import { makeNetwork, type Network } from './net-hosts.ts'
import { diskBytes, type Usage, watch } from './net-watch.ts'

export interface Scene {
  readonly home: string
  readonly network: Network
  readonly fleet: Fleet
}

export const three = ['pillar-1', 'pillar-2', 'pillar-3'] as const

/** A client and three pillars on one switch, the tracker behind a router; all of it gone afterwards. */
export async function onLan<T>(
  options: Pick<FleetOptions, 'spoolQuota' | 'nodeOptions' | 'bundled'> & {
    before?(network: Network): void
  },
  tell: (scene: Scene) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-net-'))
  const network = makeNetwork(['client', ...three], 'tracker')
  const forget = (): void => {
    network.close()
    rmSync(home, { recursive: true, force: true })
  }
  // A namespace outlives its maker, also when that one is told to end because it takes too long.
  const told = (): never => process.exit(1)
  process.once('exit', forget)
  process.once('SIGTERM', told)
  try {
    options.before?.(network)
    const collections = { home: three, solo: three.slice(0, 1) }
    const fleet = await startFleet({ ...options, home, pillars: three, collections, network })
    try {
      return await tell({ home, network, fleet })
    } finally {
      await fleet.stop()
    }
  } finally {
    forget()
    process.off('exit', forget)
    process.off('SIGTERM', told)
  }
}

export const crossed = (
  network: Network,
  host: string,
): (() => { received: number; sent: number }) => {
  const before = network.bytes(host)
  return () => {
    const { received, sent } = network.bytes(host)
    return { received: received - before.received, sent: sent - before.sent }
  }
}

export interface LanStory {
  readonly putMs: number
  readonly getMs: number
  /** Bytes in and out of the tracker while a file was put on three pillars, and while it was fetched. */
  readonly putThroughTracker: number
  readonly getThroughTracker: number
  readonly memory: Readonly<Record<string, Usage>>
  readonly differs: string
}

/** One file to three pillars of the same network, and back. */
export function lanStory(bytes: number, nodeOptions: readonly string[] = []): Promise<LanStory> {
  return onLan({ nodeOptions, bundled: true }, async ({ home, network, fleet }) => {
    const source = bigFile(join(home, 'source'), 'big.bin', bytes)
    const watched = watch(fleet.pids)
    const one = async (
      name: string,
      ...args: string[]
    ): Promise<{ ms: number; through: number }> => {
      const tracker = crossed(network, 'tracker')
      const began = performance.now()
      const command = fleet.start(...args)
      watched.add(name, command.pid)
      const { code, err } = await command.ended
      if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${err}`)
      const { received, sent } = tracker()
      return { ms: performance.now() - began, through: received + sent }
    }
    const put = await one('client put', 'put', 'home', source, '--wait', 'all')
    const get = await one('client get', 'get', 'home', '--all', '-o', join(home, 'back'))
    watched.stop()
    return {
      putMs: put.ms,
      getMs: get.ms,
      putThroughTracker: put.through,
      getThroughTracker: get.through,
      memory: watched.usage(),
      differs: difference(source, join(home, 'back')),
    }
  })
}

export interface SpoolStory {
  readonly putMs: number
  /** The most that the spool's folder took on its disk. */
  readonly spoolPeak: number
  readonly memory: Readonly<Record<string, Usage>>
  /** Memory of the tracker while the first, and while the last quarter went through. */
  readonly trackerEarly: number
  readonly trackerLate: number
  readonly stored: readonly string[]
}

export interface SpoolOptions {
  readonly bytes: number
  readonly quota: number
  /** What two of the three pillars may receive a second; the third a tenth of it. */
  readonly bitsPerSecond: number
  readonly nodeOptions?: readonly string[]
}

/** One file through a relay that is much smaller than it, to three pillars of which one is slow. */
export function spoolStory(options: SpoolOptions): Promise<SpoolStory> {
  const { bytes, quota, bitsPerSecond, nodeOptions = [] } = options
  const before = (network: Network): void => {
    network.hide(['client', ...three])
    for (const [n, pillar] of three.entries())
      network.slowDown(pillar, n < 2 ? bitsPerSecond : bitsPerSecond / 10)
  }
  return onLan(
    { spoolQuota: quota, before, nodeOptions, bundled: true },
    async ({ home, network, fleet }) => {
      const source = bigFile(join(home, 'source'), 'big.bin', bytes)
      const spool = join(home, 'tracker/spool')
      const slow = crossed(network, three[2])
      let trackerEarly = 0
      let trackerLate = 0
      const watched = watch(fleet.pids, { spool: () => diskBytes(spool) }, ({ tracker = 0 }) => {
        const done = slow().received / bytes
        if (done < 0.25) trackerEarly = Math.max(trackerEarly, tracker)
        if (done > 0.75) trackerLate = Math.max(trackerLate, tracker)
      })
      const began = performance.now()
      const command = fleet.start('put', 'home', source, '--wait', 'all')
      watched.add('client', command.pid)
      const { code, err } = await command.ended
      const putMs = performance.now() - began
      watched.stop()
      if (code !== 0) throw new Error(`put ended with ${code}: ${err}`)
      network.show(['client', ...three])
      const stored: string[] = []
      for (const pillar of three) {
        const kept = join(home, 'volumes', pillar, 'colonnade/home/data')
        if (difference(source, kept) === '') stored.push(pillar)
      }
      return {
        putMs,
        spoolPeak: watched.peaks().spool ?? 0,
        memory: watched.usage(),
        trackerEarly,
        trackerLate,
        stored,
      }
    },
  )
}
