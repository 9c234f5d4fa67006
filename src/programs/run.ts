/** Programs of the owner that the agent runs: those that stop disks, unmount them, switch the board off. */
import { execFile } from 'node:child_process'
import type { World } from '../world/world.ts'

/** It must not keep us from ending. */
const commandMsMax = 60_000

/** Runs a program to its end; nothing when there is none. Rejects with what it said when it fails. */
export function run({ log }: World, [program, ...args]: readonly string[]): Promise<void> {
  if (program === undefined) return Promise.resolve()
  return new Promise((resolve, reject) =>
    execFile(program, args, { timeout: commandMsMax }, (error, _, said) => {
      log.info('power.ran', { program, args, ...(error ? { failed: true } : {}) })
      if (error) reject(new Error(`${error.message} ${said}`.trim()))
      else resolve()
    }),
  )
}
