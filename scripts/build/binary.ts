/**
 * One file a program, Node.js included: pkg puts the bundle into the program that npm brought. pkg knows Node.js by what lies
 * in its cache, so that is laid out as it would have left it, and nothing is downloaded.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Arch, nodeVersion } from './base.ts'
import { type ProgramName, root } from './bundle.ts'

/** pkg writes the path of the bundle into the program: it has to be the same in every build. */
const stage = '/tmp/colonnade-build'

/** What users call a program. */
export const commandOf: Readonly<Record<ProgramName, string>> = {
  agent: 'colonnade-agent',
  tracker: 'colonnade-tracker',
  cli: 'colonnade',
}

export const binaryName = (program: ProgramName, arch: Arch): string =>
  `${commandOf[program]}-linux-${arch}`

/** Does something in the folder for building, alone; what a build that was killed left there is removed. */
export async function staged<T>(work: (stage: string) => Promise<T>): Promise<T> {
  const release = await alone()
  try {
    rmSync(stage, { recursive: true, force: true })
    mkdirSync(stage, { mode: 0o700 })
    return await work(stage)
  } finally {
    rmSync(stage, { recursive: true, force: true })
    release()
  }
}

/** A name that the kernel lends to one process and takes back when that ends in whatever way: nothing can be left locked. */
async function alone(): Promise<() => void> {
  for (;;) {
    const server = createServer()
    const taken = await new Promise<boolean>((done, fail) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EADDRINUSE' ? done(false) : fail(error),
      )
      server.listen('\0colonnade-build', () => done(true))
    })
    if (taken) return () => void server.close()
    await sleep(200)
  }
}

/** Lays a base program where pkg looks for it. */
export function seedCache(stage: string, base: string, arch: Arch): void {
  const folder = join(stage, '.pkg-cache', 'sea', `node-v${nodeVersion}-linux-${arch}`)
  mkdirSync(join(folder, 'bin'), { recursive: true })
  cpSync(base, join(folder, 'bin', 'node'))
  for (const sign of [`${folder}/bin/node.ok`, `${folder}.tar.gz`, `${folder}.tar.gz.ok`])
    writeFileSync(sign, '')
}

/** Makes `out` from a bundle. The Node.js that runs this prepares it, hence it has to be of the same version. */
export function makeBinary(stage: string, bundled: string, arch: Arch, out: string): void {
  if (process.versions.node !== nodeVersion)
    throw new Error(`a build needs Node.js ${nodeVersion}, and this is ${process.versions.node}`)
  const entry = join(stage, basename(bundled))
  const made = join(stage, 'made')
  copyFileSync(bundled, entry)
  const pkg = join(root, 'node_modules/@yao-pkg/pkg/lib-es5/bin.js')
  const target = `node${nodeVersion}-linux-${arch}`
  execFileSync(process.execPath, [pkg, entry, '--sea', '-t', target, '-o', made], {
    cwd: stage,
    env: { HOME: stage, TMPDIR: stage, PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  copyFileSync(made, `${out}.new`)
  renameSync(`${out}.new`, out)
}
