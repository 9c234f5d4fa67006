// `npm run lock`: brings package-lock.json up to date and makes it complete.
//
// Some optional platform packages may be missing from the registry in use. npm then leaves them out
// of the lock file, and newer npm refuses such a lock file in `npm ci`. We add what npm left out, and
// take out the addresses of the registry: each user's own registry is right, the integrity decides.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

type Entry = {
  version?: string
  resolved?: string
  integrity?: string
  os?: string[]
  cpu?: string[]
  libc?: string[]
  dev?: boolean
  optional?: boolean
  link?: boolean
  optionalDependencies?: Record<string, string>
}
type Lock = { packages: Record<string, Entry> }

const root = dirname(import.meta.dirname)
const path = join(root, 'package-lock.json')

removeStubs()
runNpm('install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund')
const lock = readLock()
const added = addStubs(lock)
for (const entry of Object.values(lock.packages)) delete entry.resolved
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')),
)
writeLock(lock)
console.log(
  `package-lock.json: ${Object.keys(lock.packages).length} entries, ${added} of them stubs`,
)

// Stubs of an earlier run may name a version that is no longer asked for.
function removeStubs() {
  if (!existsSync(path)) return
  const lock = readLock()
  for (const [key, entry] of Object.entries(lock.packages))
    if (key !== '' && entry.optional && !entry.integrity && !entry.link) delete lock.packages[key]
  writeLock(lock)
}

function addStubs(lock: Lock): number {
  let count = 0
  for (const [key, entry] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      if (findEntry(lock, key, name)) continue
      lock.packages[`node_modules/${name}`] = stub(name, range, entry.dev === true)
      count++
    }
  }
  return count
}

// npm's own rule: the nearest node_modules that has it, upwards.
function findEntry(lock: Lock, from: string, name: string): Entry | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const found = lock.packages[at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`]
    if (found || at === '') return found
  }
}

// `@biomejs/cli-linux-x64-musl` says for which machines it is.
function stub(name: string, range: string, dev: boolean): Entry {
  const version = range.replace(/^[~^=]/, '')
  if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${name}: no version in "${range}"`)
  const words = name.split(/[/-]/)
  const pick = (known: string[]) => words.filter((word) => known.includes(word))
  const os = pick([
    'aix',
    'android',
    'darwin',
    'freebsd',
    'linux',
    'netbsd',
    'openbsd',
    'openharmony',
  ])
  const windows = words.some((word) => word === 'win32' || word === 'windows')
  const cpu = pick([
    'arm',
    'arm64',
    'ia32',
    'loong64',
    'mips64el',
    'ppc64',
    'riscv64',
    's390x',
    'x64',
  ])
  const libc = words.includes('musl') ? ['musl'] : []
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc.length > 0 && { libc }),
    optional: true,
    ...((windows || os.length > 0) && { os: windows ? ['win32'] : os }),
  }
}

function runNpm(...args: string[]) {
  const cli = process.env.npm_execpath
  const [program, first] = cli ? [process.execPath, [cli]] : ['npm', []]
  const { status, error } = spawnSync(program, [...first, ...args], { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function readLock(): Lock {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function writeLock(lock: Lock) {
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
}
