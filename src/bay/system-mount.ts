/** A file system of this machine: whether it is mounted, by the kernel's table; and how we ask for it to be unmounted. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mountsIn } from '../machine/mounts.ts'
import type { Mount } from './bay.ts'

export interface SystemMountOptions {
  /** Where it is mounted, absolute. */
  readonly mount: string
  /** The name of the unit that mounts it, by which `deploy/packages/release` unmounts it. */
  readonly unit: string
  /** Where requests are left for that: the service may not unmount anything itself. */
  readonly requests: string
  /** The table; `/proc/self/mountinfo` but in tests. */
  readonly table?: string
}

export function systemMount(options: SystemMountOptions): Mount {
  const { mount, unit, requests, table = '/proc/self/mountinfo' } = options
  const request = join(requests, unit)
  return {
    // The request goes when all of it was done: the disk has stopped, too.
    isThere: () =>
      mountsIn(readFileSync(table, 'utf8')).some(({ at }) => at === mount) || existsSync(request),
    async release() {
      mkdirSync(requests, { recursive: true, mode: 0o700 })
      writeFileSync(request, '')
    },
    keep: async () => rmSync(request, { force: true }),
  }
}
