/** Whole fleets under faults, one after the other; runs as a worker of `apart`. */
import { parentPort, workerData } from 'node:worker_threads'
import { type ChaosOptions, chaos } from '../../src/sim/chaos.ts'

const reports = []
for (const options of workerData as ChaosOptions[]) reports.push(await chaos(options))
parentPort?.postMessage(reports)
