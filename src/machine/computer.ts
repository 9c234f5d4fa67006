/** What a command needs of the computer it changes as root: files below a root, and other programs. */
import { execFileSync } from 'node:child_process'
import { chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Computer {
  /** Every absolute path is below this; `/` but in tests. */
  readonly root: string
  /** Runs a program to its end; throws when it fails. */
  run(program: string, args: readonly string[], input?: string): void
}

export const thisComputer: Computer = {
  root: '/',
  run: (program, args, input) =>
    void execFileSync(program, args, {
      input: input ?? '',
      stdio: ['pipe', 'inherit', 'inherit'],
    }),
}

/** Writes a file of the system, and the folders above it. */
export function install({ root }: Computer, path: string, text: string, mode = 0o644): void {
  const place = join(root, path)
  mkdirSync(dirname(place), { recursive: true })
  writeFileSync(place, text, { mode, flush: true })
}

/** Gives a folder and all in it to a user, as far as that user exists and we may. */
export function giveTo({ root }: Computer, user: string, path: string): void {
  const owner = userOf(root, user)
  if (owner === undefined || process.getuid?.() !== 0) return
  const give = (place: string): void => {
    const stat = lstatSync(place)
    if (stat.isSymbolicLink()) return
    if (stat.uid !== owner.uid || stat.gid !== owner.gid) chownSync(place, owner.uid, owner.gid)
    if (stat.isDirectory()) for (const name of readdirSync(place)) give(join(place, name))
  }
  give(join(root, path))
}

function userOf(root: string, user: string): { uid: number; gid: number } | undefined {
  try {
    const lines = readFileSync(join(root, 'etc/passwd'), 'utf8').split('\n')
    const fields = lines.map((line) => line.split(':')).find(([name]) => name === user)
    return fields && { uid: Number(fields[2]), gid: Number(fields[3]) }
  } catch {
    return undefined
  }
}

export function needRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new Error(`${what} needs root: put sudo before it`)
}
