/**
 * The native part of serialport inside the programs. From source, node-gyp-build finds it in node_modules; in a program
 * its place is taken by what stands here: one addon for each processor, compressed, which is written out and loaded with the
 * first serial line.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import type { Plugin } from 'esbuild'
import { type Arch, arches } from './base.ts'

/** Those for glibc, which Node.js itself needs. */
const prebuilt: Readonly<Record<Arch, string>> = {
  x64: 'linux-x64/@serialport+bindings-cpp.glibc.node',
  arm64: 'linux-arm64/@serialport+bindings-cpp.armv8.glibc.node',
}

/** Runs inside the program. A folder may be mounted `noexec` (/run always is), so that several are tried. */
const loader = `
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { constants: { dlopen }, tmpdir } = require('node:os')
const { join } = require('node:path')
const { zstdDecompressSync } = require('node:zlib')
const packed = { ${arches.map((arch) => `${arch}: () => require('addon:${arch}')`).join(', ')} }

function loadFrom(base, bytes) {
  // Of a name that nobody can know before, for us alone, and gone as soon as it is loaded: the mapping stays.
  const folder = mkdtempSync(join(base, '.colonnade-'))
  try {
    const path = join(folder, 'serial.node')
    writeFileSync(path, bytes, { mode: 0o500, flag: 'wx' })
    const made = { exports: {} }
    process.dlopen(made, path, dlopen.RTLD_NOW)
    return made.exports
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

module.exports = () => {
  const addon = packed[process.arch]
  if (addon === undefined) throw new Error('serial lines are not supported on ' + process.arch)
  const bytes = zstdDecompressSync(addon())
  const failures = []
  for (const base of new Set([process.env.STATE_DIRECTORY, tmpdir(), '/var/tmp', '/dev/shm'])) {
    try {
      if (base) return loadFrom(base, bytes)
    } catch (error) {
      failures.push(base + ': ' + error.message)
    }
  }
  throw new Error('serial lines need a folder that programs may be run from: ' + failures.join('; '))
}
`

export const addon = (root: string): Plugin => ({
  name: 'addon',
  setup(build) {
    const own = { namespace: 'addon' }
    build.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'loader', ...own }))
    build.onResolve({ filter: /^addon:/ }, ({ path }) => ({ path: path.slice(6), ...own }))
    build.onLoad({ filter: /.*/, ...own }, ({ path }) =>
      path === 'loader'
        ? { contents: loader, loader: 'js', resolveDir: root }
        : { contents: compressed(root, path as Arch), loader: 'binary' },
    )
  },
})

const compressed = (root: string, arch: Arch): Buffer =>
  zstdCompressSync(
    readFileSync(join(root, 'node_modules/@serialport/bindings-cpp/prebuilds', prebuilt[arch])),
    { params: { [constants.ZSTD_c_compressionLevel]: 19 } },
  )
