import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { ChaosOptions, ChaosReport } from '../../src/sim/chaos.ts'

/**
 * Reports of chaos with each of these options, in their order; rejects with the first broken invariant. In a thread of its own:
 * tap watches every promise of its own thread, which takes as long as the work.
 */
export const apart = (options: readonly ChaosOptions[]): Promise<ChaosReport[]> =>
  inThread('./chaos.worker.ts', options)

/** What a program beside this one says in its first message, in a thread of its own. */
export async function inThread<T>(program: string, data?: unknown): Promise<T> {
  const url = new URL(program, import.meta.url)
  const worker = new Worker(url, { workerData: data, execArgv: [] })
  const [said] = await once(worker, 'message')
  return said
}
