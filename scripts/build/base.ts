/** The Node.js programs that become ours: from the npm registry, known by their digests, without debug symbols. */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { strip } from './strip.ts'

export const arches = ['x64', 'arm64'] as const
export type Arch = (typeof arches)[number]

export const nodeVersion = '24.21.0'

/** SHA-256 of `bin/node` in the packages `node-linux-<arch>` of that version. */
const digests: Readonly<Record<Arch, string>> = {
  x64: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
  arm64: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
}

/** The stripped program for this architecture, kept in `cache`; brought by npm when `npm ci` has not brought it. */
export function baseProgram(root: string, cache: string, arch: Arch): string {
  const place = join(cache, `node-${nodeVersion}-linux-${arch}`)
  const note = `${place}.sha256`
  if (existsSync(note) && digest(place) === readFileSync(note, 'utf8')) return place
  const program = readFileSync(installed(root, arch) ?? fetched(cache, arch))
  const found = createHash('sha256').update(program).digest('hex')
  if (found !== digests[arch])
    throw new Error(`node-linux-${arch}@${nodeVersion} is not what it was: SHA-256 ${found}`)
  writeFileSync(`${place}.new`, strip(program), { mode: 0o755 })
  renameSync(`${place}.new`, place)
  writeFileSync(note, digest(place))
  return place
}

export const digest = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex')

/** The licence of Node.js and of what is in it. */
export function nodeLicence(root: string, cache: string): string {
  const folders = arches.flatMap((arch) =>
    [join(root, 'node_modules'), cache].map((place) => join(place, `node-linux-${arch}`)),
  )
  const path = folders.map((folder) => join(folder, 'LICENSE')).find((one) => existsSync(one))
  if (path === undefined) throw new Error('the licence of Node.js is missing')
  return readFileSync(path, 'utf8')
}

function installed(root: string, arch: Arch): string | undefined {
  const path = join(root, 'node_modules', `node-linux-${arch}`, 'bin', 'node')
  return existsSync(path) ? path : undefined
}

/** `npm install` refuses a package for another processor; `npm pack` brings it, and the digest says what came. */
function fetched(cache: string, arch: Arch): string {
  const folder = join(cache, `node-linux-${arch}`)
  const program = join(folder, 'bin', 'node')
  if (existsSync(program)) return program
  const temporary = mkdtempSync(join(cache, 'fetch-'))
  try {
    const spec = `node-linux-${arch}@${nodeVersion}`
    const options: ExecFileSyncOptions = {
      cwd: temporary,
      stdio: ['ignore', 'pipe', 'inherit'],
    }
    execFileSync('npm', ['pack', '--silent', spec], options)
    const unpack = [
      '-xzf',
      `node-linux-${arch}-${nodeVersion}.tgz`,
      'package/bin/node',
      'package/LICENSE',
    ]
    execFileSync('tar', unpack, options)
    mkdirSync(join(folder, 'bin'), { recursive: true })
    renameSync(join(temporary, 'package', 'LICENSE'), join(folder, 'LICENSE'))
    renameSync(join(temporary, 'package', 'bin', 'node'), program)
    return program
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
