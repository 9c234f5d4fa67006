/**
 * `npm run build`: the three programs for linux-x64 and linux-arm64, each one file, the Debian packages, and their digests, in
 * dist/. The same commit gives the same bytes. `--fast` compresses the packages little; `--arch x64` makes one architecture,
 * `--out FOLDER` puts all of it elsewhere, `--as VERSION` names the packages so.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { version as ourVersion } from '../src/system/version.ts'
import { type Arch, arches, baseProgram, digest, nodeLicence } from './build/base.ts'
import { binaryName, makeBinary, seedCache, staged } from './build/binary.ts'
import { bundle, programs, root } from './build/bundle.ts'
import { debianPackage } from './build/deb.ts'
import { licences } from './build/licences.ts'
import { debName, packageNames, packageOf } from './build/packages.ts'

interface Wanted {
  readonly arches: readonly Arch[]
  readonly out: string
  readonly fast: boolean
  readonly version: string
}

async function make(wanted: Wanted): Promise<void> {
  const { out } = wanted
  const cache = join(root, 'node_modules', '.cache', 'colonnade')
  mkdirSync(cache, { recursive: true })
  mkdirSync(out, { recursive: true })
  for (const old of readdirSync(out)) if (ours.test(old)) rmSync(join(out, old))
  const packages = await staged(async (stage) => {
    const { paths, packages } = await bundle(join(stage, 'bundles'))
    for (const arch of wanted.arches) {
      seedCache(stage, baseProgram(root, cache, arch), arch)
      for (const program of programs)
        makeBinary(stage, paths[program], arch, join(out, binaryName(program, arch)))
    }
    return packages
  })
  const terms = licences(packages, nodeLicence(root, cache))
  writeFileSync(join(out, 'LICENCES'), terms)
  const options = { mtime: commitTime(), small: !wanted.fast }
  for (const arch of wanted.arches) {
    const contents = { dist: out, version: wanted.version, arch, licences: terms }
    for (const name of packageNames) {
      const made = debianPackage(packageOf(name, contents), options)
      writeFileSync(join(out, debName(name, wanted.version, arch)), made)
    }
  }
  const made = readdirSync(out).filter((name) => ours.test(name) && name !== 'SHA256SUMS')
  const sums = made.sort().map((name) => `${digest(join(out, name))}  ${name}\n`)
  writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
  process.stdout.write(sums.join(''))
}

const ours = /^(colonnade(-agent|-tracker)?(-linux-|_)|LICENCES$|SHA256SUMS$)/

/** SOURCE_DATE_EPOCH, else the time of the commit; without git, a day of this version. */
function commitTime(): number {
  const given = Number(process.env.SOURCE_DATE_EPOCH)
  if (given > 0) return given
  try {
    const time = execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return Number(time.toString())
  } catch {
    return Date.UTC(2026, 0, 1) / 1000
  }
}

function wanted(): Wanted {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true },
      out: { type: 'string', default: 'dist' },
      fast: { type: 'boolean', default: false },
      as: { type: 'string', default: ourVersion },
    },
  })
  const chosen = arches.filter((arch) => values.arch?.includes(arch) ?? true)
  const unknown = values.arch?.find((name) => !arches.some((arch) => arch === name))
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${arches.join(', ')}`)
  return {
    arches: chosen,
    out: resolve(root, values.out),
    fast: values.fast,
    version: values.as,
  }
}

async function main(): Promise<void> {
  await make(wanted())
}

void main().catch((error) => {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
