/** The bundled programs of three pillars, a tracker and the command line on this computer, for measuring. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Fleet, startFleet } from '../../test/support/net-fleet.ts'
import { type Usage, watch } from '../../test/support/net-watch.ts'

export const pillars = ['pillar-1', 'pillar-2', 'pillar-3'] as const

export interface Step {
  readonly ms: number
  /** Of each process, the command line's under `client`. */
  readonly usage: Readonly<Record<string, Usage>>
}

export interface Box {
  readonly home: string
  readonly fleet: Fleet
  /** Runs one command and watches all processes until it has ended. */
  step(...args: string[]): Promise<Step>
}

/** Runs one command and watches all processes until it has ended; rejects when it fails. */
export async function watchedRun(fleet: Fleet, args: readonly string[]): Promise<Step> {
  const watched = watch(fleet.pids)
  const began = performance.now()
  const command = fleet.start(...args)
  watched.add('client', command.pid)
  const { code, out, err } = await command.ended
  const ms = performance.now() - began
  watched.stop()
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${out}${err}`)
  return { ms, usage: watched.usage() }
}

export async function inBox<T>(
  nodeOptions: readonly string[],
  work: (box: Box) => Promise<T>,
  founded: (home: string) => void = () => undefined,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-measure-'))
  const collections = { home: pillars, solo: pillars.slice(0, 1) }
  try {
    const fleet = await startFleet({
      home,
      pillars,
      collections,
      nodeOptions,
      bundled: true,
      founded,
      ports: [28443, 28883],
    })
    const step = (...args: string[]): Promise<Step> => watchedRun(fleet, args)
    try {
      return await work({ home, fleet, step })
    } finally {
      await fleet.stop()
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
