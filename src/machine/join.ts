/** Makes this machine a member: puts what the tracker made for it where the service looks for it. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { readConfig } from '../system/config.ts'
import { agentShape } from '../system/config-shapes.ts'
import { type Computer, giveTo } from './computer.ts'
import { agentUser } from './mounting.ts'

/** Where the packaged service finds its configuration. */
export const installedConfig = '/etc/colonnade/agent/agent.toml'

/** What the first start has left for when there is a network: the code, and where a disk waits to be adopted. */
export const pendingCode = '/etc/colonnade/agent/invitation'
export const pendingMount = '/etc/colonnade/agent/invitation-mount'

/** Where the disk of a pillar is mounted when nobody says otherwise. */
export const usualMount = '/mnt/colonnade'

const secret = ['key.pem'] as const
const open = ['certificate.pem', 'ca.pem', 'archive-document'] as const

/**
 * Copies the folder that `colonnade-tracker add pillar` made to where `config` is to lie, the configuration last. Saying it
 * again changes nothing; another member's key is never overwritten. Returns the member's name and mount.
 */
export function joinArchive(
  computer: Computer,
  folder: string,
  config = installedConfig,
): { name: string; mount: string } {
  const { values } = readConfig(join(folder, 'agent.toml'), agentShape)
  const place = join(computer.root, dirname(config))
  mkdirSync(place, { recursive: true, mode: 0o750 })
  const there = join(place, 'key.pem')
  const key = readFileSync(join(folder, 'key.pem'))
  if (existsSync(there) && !readFileSync(there).equals(key))
    throw new Error(`${place} holds the key of a member already: move it away if it is not needed`)
  for (const name of [...open, ...secret]) {
    const path = join(folder, name)
    if (existsSync(path)) copyFileSync(path, join(place, name))
  }
  copyFileSync(join(folder, 'agent.toml'), join(place, basename(config)))
  giveTo(computer, agentUser, dirname(config))
  return { name: values.name, mount: values['volume.mount'] }
}
