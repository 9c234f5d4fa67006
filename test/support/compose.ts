/**
 * A service of a compose file, run as its containers would be, but by bubblewrap: in a root of its own that cannot be written,
 * by the user it names, without any capability, with the volumes, variables and command that it says.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'

export interface Service {
  readonly command: readonly string[]
  readonly user: string
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
  readonly ports: readonly string[]
  readonly tmpfs: readonly string[]
  readonly networks?: { readonly default: { readonly aliases: readonly string[] } }
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
}

/** With `${NAME:?hint}` replaced; throws the hint when a variable is not given, as Compose does. */
export function readCompose(text: string, variables: Readonly<Record<string, string>>): Compose {
  const filled = text.replace(/\$\{(\w+):\?([^}]*)\}/g, (_, name: string, hint: string) => {
    const value = variables[name]
    if (value === undefined) throw new Error(hint)
    return value
  })
  return parse(filled)
}

/** What runs the service; `folder` is where the compose file lies, `image` the root to run in. */
export function contained(service: Service, folder: string, image: string): string[] {
  const [uid = '', gid = ''] = service.user.split(':')
  const volumes = service.volumes.flatMap((volume) => {
    const [from = '', to = '', mode] = volume.split(':')
    place(join(image, to), from.includes('/colonnade-tracker-'))
    return [mode === 'ro' ? '--ro-bind' : '--bind', resolve(folder, from), to]
  })
  const environment = Object.entries(service.environment ?? {}).flatMap(([name, value]) => [
    ...['--setenv', name, value],
  ])
  return [
    ...[
      'bwrap',
      '--die-with-parent',
      '--new-session',
      '--unshare-pid',
      '--unshare-ipc',
      '--clearenv',
    ],
    ...[service.read_only ? '--ro-bind' : '--bind', image, '/'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...service.tmpfs.flatMap((path) => ['--perms', '1777', '--tmpfs', path]),
    ...volumes,
    ...['--setenv', 'PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ...environment,
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'],
    ...(service.cap_drop.includes('ALL') ? ['--bounding-set=-all'] : []),
    ...service.command,
  ]
}

/** What is mounted on has to be there: a container's engine makes it, too. */
function place(path: string, file: boolean): void {
  mkdirSync(file ? dirname(path) : path, { recursive: true })
  if (file) closeSync(openSync(path, 'a'))
}
