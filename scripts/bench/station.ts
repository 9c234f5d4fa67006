/** One of our processes under test: it does what it is told, and nothing else happens in it. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Credentials } from '../../test/support/pki.ts'
import type { Running } from './peers.ts'

export interface Setting {
  readonly is: 'ours' | 'plain'
  /** An empty folder on the disk that is measured. */
  readonly home: string
  /** What it serves, and what is brought to it. */
  readonly file: string
  readonly size: number
  readonly checksum: string
  readonly tls: Credentials
  /** Ciphers to be offered, when not those that the processor is best at. */
  readonly ciphers?: string
}

export type Order =
  /** Fetches the file from this port into the store. */
  | { readonly do: 'pull'; readonly port: number }
  /** Reads the file from the medium and hashes it. */
  | { readonly do: 'scrub' }
  /** Stores so many files of 10 kB, each in a file of its own, durably. */
  | { readonly do: 'store'; readonly count: number }

export interface Station extends Running {
  readonly port: number
  order(order: Order): Promise<void>
}

/** Starts it from its sources, without what npm and tap put into the environment. */
export async function startStation(
  setting: Setting,
  environment: Readonly<Record<string, string>> = {},
): Promise<Station> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = fork(join(import.meta.dirname, 'station.process.ts'), {
    env: { ...env, ...environment },
    execArgv: ['--semi-space-growth-factor=1'],
  })
  const told = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child.once('message', resolve)
      child.once('exit', () => reject(new Error('a process under test has ended')))
    })
  child.send(setting)
  const port = Number(await told())
  return {
    pid: child.pid ?? 0,
    port,
    async order(order) {
      child.send(order)
      const fault = await told()
      child.removeAllListeners('exit')
      if (typeof fault === 'string') throw new Error(fault)
    },
    end: () => ended(child),
  }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.disconnect()
  await exit
}
