/** What is in our two Debian packages. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Arch } from './base.ts'
import { binaryName } from './binary.ts'
import { root } from './bundle.ts'
import { type Entry, fromFile, type Package, text } from './deb.ts'

export const packageNames = ['colonnade-agent', 'colonnade-tracker'] as const
export type PackageName = (typeof packageNames)[number]

/** What Debian calls an architecture. */
export const debianArch: Readonly<Record<Arch, string>> = { x64: 'amd64', arm64: 'arm64' }

export const debName = (name: PackageName, version: string, arch: Arch): string =>
  `${name}_${version}_${debianArch[arch]}.deb`

const descriptions: Readonly<Record<PackageName, string>> = {
  'colonnade-agent': [
    'bit repository for small boards: the agent of a storage node',
    ' Keeps copies of files safe for decades on a disk of this machine, proves that it',
    ' does, and only ever dials out. Files stand on the disk under their own names.',
  ].join('\n'),
  'colonnade-tracker': [
    'bit repository for small boards: the tracker, and the command line',
    ' The centre of an archive: knows who is there and what is owed, relays files, brings',
    ' a broker; and `colonnade`, with which the owner stores and fetches files.',
  ].join('\n'),
}

export interface Contents {
  /** Folder with the programs. */
  readonly dist: string
  readonly version: string
  readonly arch: Arch
  /** The licences of everything inside the programs. */
  readonly licences: string
}

export function packageOf(name: PackageName, contents: Contents): Package {
  const { version, arch } = contents
  const program = name === 'colonnade-agent' ? 'agent' : 'tracker'
  const scripts: Record<string, string> = {}
  for (const script of ['postinst', 'prerm', 'postrm'])
    scripts[script] = shipped(`packages/${program}/${script}`).replaceAll('@VERSION@', version)
  return {
    control: {
      Package: name,
      Version: version,
      Architecture: debianArch[arch],
      Maintainer: 'The Colonnade project <colonnade@localhost>',
      Section: 'admin',
      Priority: 'optional',
      Depends: 'libc6 (>= 2.28), libgcc-s1, libstdc++6, init-system-helpers, passwd, systemd',
      ...(program === 'agent'
        ? {
            Recommends: 'e2fsprogs, fdisk, systemd-timesyncd | time-daemon, udev',
            Suggests: 'hdparm',
          }
        : {}),
      Description: descriptions[name],
    },
    files: program === 'agent' ? agentFiles(contents) : trackerFiles(contents),
    scripts,
    conffiles: [],
  }
}

function agentFiles(contents: Contents): Map<string, Entry> {
  return new Map([
    ...versioned('agent', contents),
    ['/usr/lib/systemd/system/colonnade-first-boot.service', unit('colonnade-first-boot')],
    ...['colonnade-release', 'colonnade-power-off'].flatMap((name): [string, Entry][] => [
      [`/usr/lib/systemd/system/${name}.service`, unit(name)],
      [`/usr/lib/systemd/system/${name}.path`, text(shipped(`systemd/${name}.path`))],
    ]),
    ['/usr/lib/colonnade/agent/release', text(shipped('packages/release'), 0o755)],
    ['/usr/lib/colonnade/agent/stop-disk', text(shipped('packages/stop-disk'), 0o755)],
    ['/usr/lib/colonnade/agent/spin-down', text(shipped('packages/spin-down'), 0o755)],
    ['/usr/lib/systemd/system/colonnade-enrol.service', unit('colonnade-enrol')],
    ['/usr/lib/udev/rules.d/61-colonnade.rules', text(shipped('udev/61-colonnade.rules'))],
    ...documents('colonnade-agent', contents, ['agent.toml', 'colonnade.toml']),
  ])
}

function trackerFiles(contents: Contents): Map<string, Entry> {
  const client = fromFile(join(contents.dist, binaryName('cli', contents.arch)), 0o755)
  const broker = ['mosquitto.conf', 'mosquitto.acl'].map((name): [string, Entry] => [
    `/usr/share/doc/colonnade-tracker/${name}`,
    text(shipped(name)),
  ])
  return new Map([
    ...versioned('tracker', contents),
    ['/usr/bin/colonnade', client],
    ...broker,
    ...documents('colonnade-tracker', contents, ['tracker.toml', 'client.toml']),
  ])
}

/** A service whose program is there in two versions; see `versions`. */
function versioned(program: 'agent' | 'tracker', { dist, arch }: Contents): [string, Entry][] {
  const command = `colonnade-${program}`
  const lib = `/usr/lib/colonnade/${program}`
  return [
    [`/usr/bin/${command}`, { kind: 'link', to: `../lib/colonnade/${program}/current/${command}` }],
    [`${lib}/package/${command}`, fromFile(join(dist, binaryName(program, arch)), 0o755)],
    [`${lib}/versions`, text(shipped('packages/versions'), 0o755)],
    [`${lib}/back-off`, text(shipped('packages/back-off'), 0o755)],
    [`/usr/lib/systemd/system/${command}.service`, unit(command)],
    [`/usr/lib/systemd/system/${command}-trial.service`, unit(`${command}-trial`)],
  ]
}

function documents(name: string, contents: Contents, examples: string[]): [string, Entry][] {
  const folder = `/usr/share/doc/${name}`
  return [
    [`${folder}/copyright`, text(contents.licences)],
    ...examples.map((example): [string, Entry] => [
      `${folder}/examples/${example}`,
      text(shipped(`examples/${example}`)),
    ]),
  ]
}

const unit = (name: string): Entry => text(shipped(`systemd/${name}.service`))

const shipped = (path: string): string => readFileSync(join(root, 'deploy', path), 'utf8')
