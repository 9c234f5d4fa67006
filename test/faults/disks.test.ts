// Runs disks.ts where nobody else sees its mounts. Whoever makes a namespace (`ip netns exec`, `unshare`) gets a copy of all mounts
// that there are, and keeps a disk busy that we have long unmounted.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const apart = process.getuid?.() === 0 ? ['unshare', '--mount', '--'] : []
const [program = '', ...args] = [
  ...apart,
  process.execPath,
  ...process.execArgv,
  join(import.meta.dirname, 'disks.ts'),
]
const { status } = spawnSync(program, args, { stdio: 'inherit' })
process.exitCode = status ?? 1
