/** What is to be known of the disks of this machine: room, temperature, health, and whose volumes are on them. */
import { execFileSync } from 'node:child_process'
import { readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Attached } from './attached.ts'

export interface Described extends Attached {
  /** Of one that is mounted. */
  readonly bytesFree?: number
  /** By smartctl where there is one; a disk that sleeps is not woken for it. */
  readonly celsius?: number
  readonly health?: 'good' | 'failing'
  /** Id of the volume on it; then whose, and what the running agent says of it, each with what goes before. */
  readonly volume?: string
  readonly owner?: string
  readonly state?: string
}

/** `told` is what a running agent says of its volumes. */
export const described = (
  all: readonly Attached[],
  told: Readonly<Record<string, unknown>> | undefined,
  smart: Smart = smartctl,
): Described[] =>
  all.map((one) => ({
    ...one,
    ...(one.device === one.disk ? healthOf(smart(one.device)) : {}),
    ...(one.mount === '' ? {} : { ...roomAt(one.mount), ...volumeAt(one.mount, told) }),
  }))

function roomAt(mount: string): Pick<Described, 'bytesFree'> {
  try {
    const { bavail, bsize } = statfsSync(mount)
    return { bytesFree: bavail * bsize }
  } catch {
    return {}
  }
}

function volumeAt(
  mount: string,
  told: Readonly<Record<string, unknown>> | undefined,
): Pick<Described, 'volume' | 'owner' | 'state'> {
  try {
    const text = readFileSync(join(mount, 'colonnade', 'volume.json'), 'utf8')
    const { volume, pillar, archive } = JSON.parse(text) as Record<string, string>
    if (volume === undefined) return {}
    const known = Array.isArray(told?.volumes) ? (told.volumes as Record<string, string>[]) : []
    const state = known.find(({ id }) => id === volume)?.state
    return {
      volume,
      owner: ` of ${pillar} in ${archive}`,
      state: state === undefined ? '' : `, ${state}`,
    }
  } catch {
    return {}
  }
}

/** What `smartctl --json` prints of a disk; undefined without it. */
export type Smart = (device: string) => string | undefined

const smartMs = 10_000

const smartctl: Smart = (device) => {
  try {
    return execFileSync('smartctl', ['--json', '-n', 'standby', '-H', '-A', device], {
      encoding: 'utf8',
      timeout: smartMs,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch (error) {
    // It ends with bits that say what is wrong, and prints all the same.
    const text = error instanceof Error && 'stdout' in error ? String(error.stdout ?? '') : ''
    return text === '' ? undefined : text
  }
}

function healthOf(text: string | undefined): Pick<Described, 'celsius' | 'health'> {
  try {
    const { temperature, smart_status: status } = JSON.parse(text ?? '') as {
      readonly temperature?: { readonly current?: number }
      readonly smart_status?: { readonly passed?: boolean }
    }
    return {
      ...(typeof temperature?.current === 'number' ? { celsius: temperature.current } : {}),
      ...(typeof status?.passed === 'boolean'
        ? { health: status.passed ? 'good' : 'failing' }
        : {}),
    }
  } catch {
    return {}
  }
}
