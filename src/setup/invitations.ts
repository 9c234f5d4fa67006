/** Invitations, a file each beside the tracker's configuration. Of the secret only a digest is kept, as the file's name. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Invitation, parseInvitation } from '../protocol/enrolment.ts'

/** So long an invitation that is over is remembered, to say so. */
const rememberMs = 30 * 24 * 3_600_000

const folderOf = (home: string): string => join(home, 'invitations')
const pathOf = (home: string, secret: string): string =>
  join(folderOf(home), `${createHash('sha256').update(secret, 'hex').digest('hex')}.json`)

/** Survives a power cut once this returns. */
export function keepInvitation(home: string, secret: string, invitation: Invitation): void {
  const folder = folderOf(home)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = pathOf(home, secret)
  writeFileSync(`${path}.new`, `${JSON.stringify(invitation)}\n`, { mode: 0o600, flush: true })
  renameSync(`${path}.new`, path)
  const handle = openSync(folder, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

export function findInvitation(home: string, secret: string): Invitation | undefined {
  return readInvitation(pathOf(home, secret))
}

/** Forgets those that were over long ago. */
export function forgetInvitations(home: string, now: number): void {
  const folder = folderOf(home)
  let names: string[] = []
  try {
    names = readdirSync(folder)
  } catch {
    return
  }
  for (const name of names) {
    const found = readInvitation(join(folder, name))
    if (found && Date.parse(found.expiresAt) + rememberMs < now) rmSync(join(folder, name))
  }
}

function readInvitation(path: string): Invitation | undefined {
  try {
    return parseInvitation(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
