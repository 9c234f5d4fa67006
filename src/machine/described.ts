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

/** `told` is what a running agent says of its volumes; a disk that sleeps is not asked itself. */
export const described = (
  all: readonly Attached[],
  told: Told,
  smart: Smart = smartctl,
): Described[] =>
  all.map((one) => ({
    ...one,
    ...(one.device === one.disk ? healthOf(smart(one.device)) : {}),
    ...(one.mount === '' ? {} : (asleepAt(one.mount, told) ?? lookedAt(one.mount, told))),
  }))

type Told = Readonly<Record<string, unknown>> | undefined

const lookedAt = (mount: string, told: Told): Partial<Described> => ({
  ...roomAt(mount),
  ...volumeAt(mount, told),
})

/** What the agent knows from when it was awake; undefined when it does not sleep. */
function asleepAt(mount: string, told: Told): Partial<Described> | undefined {
  const bays = Array.isArray(told?.bays) ? (told.bays as Record<string, unknown>[]) : []
  if (!bays.some((bay) => bay.mount === mount && bay.state === 'asleep')) return undefined
  const places = told?.places as Record<string, string> | undefined
  const [id] = Object.entries(places ?? {}).find(([, at]) => at === mount) ?? []
  if (id === undefined) return {}
  const all = Array.isArray(told?.volumes) ? (told.volumes as VolumeTold[]) : []
  const bytesFree = all.find((one) => one.id === id)?.space?.bytesFree
  return {
    ...{ volume: id, owner: '', state: ', asleep' },
    ...(bytesFree === undefined ? {} : { bytesFree }),
  }
}

interface VolumeTold {
  readonly id?: string
  readonly space?: { readonly bytesFree?: number }
}

function roomAt(mount: string): Pick<Described, 'bytesFree'> {
  try {
    const { bavail, bsize } = statfsSync(mount)
    return { bytesFree: bavail * bsize }
  } catch {
    return {}
  }
}

function volumeAt(mount: string, told: Told): Pick<Described, 'volume' | 'owner' | 'state'> {
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
