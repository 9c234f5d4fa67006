import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { ChaosOptions, ChaosReport } from '../../src/sim/chaos.ts'

/**
 * Reports of chaos with each of these options, in their order; rejects with the first broken invariant. In a thread of its own:
 * tap watches every promise of its own thread, which takes as long as the work.
 */
export async function apart(options: readonly ChaosOptions[]): Promise<ChaosReport[]> {
  const url = new URL('./chaos.worker.ts', import.meta.url)
  const worker = new Worker(url, { workerData: options, execArgv: [] })
  const [reports] = await once(worker, 'message')
  return reports
}
