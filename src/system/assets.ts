import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * The one adapter for things that live beside the source. The binaries carry them as texts by name, put in front
 * by the bundler; from source they are files of the project.
 */
declare const COLONNADE_ASSETS: Record<string, string> | undefined

/** Sources of threads, by the name under which a bundle carries their code. */
const workers = { 'volume.worker': 'src/disk/volume.worker.ts' } as const

export type WorkerName = keyof typeof workers

/** Starts a thread that runs this worker; flags of the process (loaders, inspection) are not passed on. */
export function spawnWorker(name: WorkerName, workerData?: unknown): Worker {
  const options: WorkerOptions = { name, workerData, execArgv: [] }
  const text = bundled(name)
  if (text !== undefined) return new Worker(text, { ...options, eval: true })
  return new Worker(join(projectRoot(), workers[name]), options)
}

/** A text that ships with the project, by its path from the project's root. */
export const asset = (path: string): string =>
  bundled(path) ?? readFileSync(join(projectRoot(), path), 'utf8')

function bundled(name: string): string | undefined {
  if (typeof COLONNADE_ASSETS === 'undefined') return undefined
  const text = COLONNADE_ASSETS[name]
  if (text === undefined) throw new Error(`${name} is missing in this binary`)
  return text
}

/** The folder above the running script that has this file in it; a bundle cannot ask where it lies. */
function projectRoot(): string {
  const script = process.argv[1]
  const starts = [
    script !== undefined && existsSync(script) ? realpathSync(script) : process.cwd(),
    process.cwd(),
  ]
  for (const start of starts) {
    for (let folder = start; ; folder = dirname(folder)) {
      if (existsSync(join(folder, 'src/system/assets.ts'))) return folder
      if (folder === dirname(folder)) break
    }
  }
  throw new Error(`no sources of Colonnade above ${starts[0]}`)
}
