/** Writes the configuration of a new member beside its key. */
import { join } from 'node:path'
import { type Shape, writeConfig } from '../system/config.ts'
import { agentShape, clientShape, trackerShape } from '../system/config-shapes.ts'

export interface MemberFile {
  readonly role: 'pillar' | 'client' | 'tracker'
  readonly name: string
  readonly archive: string
  readonly owner: string
  readonly exchangeUrl: string
  readonly brokerUrl: string
  /** Further keys by their names. */
  readonly values: Readonly<Record<string, string | readonly string[]>>
}

const fileOf = { pillar: 'agent.toml', client: 'client.toml', tracker: 'tracker.toml' } as const

/** `path` names the file otherwise than its role does. */
export function writeMemberConfig(folder: string, member: MemberFile, path?: string): void {
  const { role, name, archive, owner, exchangeUrl, brokerUrl, values } = member
  const shape: Shape =
    role === 'pillar' ? agentShape : role === 'client' ? clientShape : trackerShape
  const where =
    role === 'tracker' ? { 'exchange.urls': [exchangeUrl] } : { 'tracker.url': exchangeUrl }
  writeConfig(path ?? join(folder, fileOf[role]), shape, {
    name,
    archive,
    owner,
    'broker.url': brokerUrl,
    ...where,
    ...values,
  })
}
