import type { Worker } from 'node:worker_threads'
import { DiskError } from '../disk/disk.ts'
import { lengthy } from '../index/index.ts'
import { collector } from './collect.ts'

/** One call into a thread. */
export interface ThreadCall {
  readonly id: number
  readonly port: string
  readonly method: string
  readonly args: readonly unknown[]
}

/** What came of it. */
export type ThreadReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure }
  /** What nobody has asked for. */
  | { readonly told: unknown }

/** An error on its way between threads: the class is lost there, the code of a DiskError must not be. */
export interface Failure {
  readonly message: string
  readonly code?: string
}

export const failureOf = (error: unknown): Failure => {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof DiskError)) return { message }
  return { message: message.slice(error.code.length + 2), code: error.code }
}

const errorOf = ({ message, code }: Failure): Error =>
  code === undefined ? new Error(message) : new DiskError(code, message)

export interface Thread {
  /** Rejects with the thread's error, or with EIO when the thread is gone. */
  call(port: string, method: string, args: readonly unknown[]): Promise<unknown>
  /** Hears what the thread tells by itself, and has told so far. */
  listen(hear: (told: unknown) => void): void
  /** Tells when it has not come back from a call for long, once for each time that it happens, with the milliseconds. */
  whenSilent(tell: (ms: number) => void): void
  /** Ends the thread, whatever it is doing; what is under way rejects. */
  end(): Promise<void>
}

interface Waiting {
  readonly method: string
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Calls into a thread, any number at a time. The process stays alive while one is under way, and no longer. */
export function callable(worker: Worker, name: string): Thread {
  const waiting = new Map<number, Waiting>()
  let calls = 0
  const passed = collector()
  let gone: DiskError | undefined
  let onSilence: ((ms: number) => void) | undefined
  const silence = silenceAfter(
    () => waiting.size > 0 && ![...waiting.values()].some(({ method }) => lengthy.has(method)),
    (ms) => onSilence?.(ms),
  )

  const settled = (id: number): Waiting | undefined => {
    const call = waiting.get(id)
    // What comes after the end was not waited for; that the thread ends still is, and keeps the process alive.
    if (waiting.delete(id) && waiting.size === 0) worker.unref()
    return call
  }
  const fail = (why: string): void => {
    gone ??= new DiskError('EIO', why)
    for (const id of [...waiting.keys()]) settled(id)?.reject(gone)
  }
  worker.unref()
  const told: unknown[] = []
  let hear = (one: unknown): void => void told.push(one)
  worker.on('message', (reply: ThreadReply) => {
    silence.heard()
    if ('told' in reply) return hear(reply.told)
    if ('failure' in reply) settled(reply.id)?.reject(errorOf(reply.failure))
    else settled(reply.id)?.resolve(reply.value)
    if ('value' in reply) passed(bytesIn(reply.value))
  })
  worker.on('error', (error) => fail(`the thread of ${name} failed: ${error}`))
  worker.on('exit', () => fail(`the thread of ${name} has ended`))

  return {
    call(port, method, args) {
      if (gone) return Promise.reject(gone)
      const call: ThreadCall = { id: ++calls, port, method, args: args.map(own) }
      // What is written came in buffers of its own, which now lie about.
      for (const arg of args) passed(bytesIn(arg))
      return new Promise((resolve, reject) => {
        waiting.set(call.id, { method, resolve, reject })
        worker.ref()
        silence.asked()
        worker.postMessage(call, handedOver(call.args))
      })
    },
    listen(listener) {
      hear = listener
      for (const one of told.splice(0)) listener(one)
    },
    whenSilent(tell) {
      onSilence = tell
    },
    async end() {
      fail(`the thread of ${name} was ended`)
      await worker.terminate()
    },
  }
}

/** Long for a disk that is well, and short enough for people to hear of it within 5 s. */
const silentMs = 4_000

/** Notices that nothing comes back while something is waited for. One timer, and only then. */
function silenceAfter(waits: () => boolean, tell: (ms: number) => void) {
  let since = 0
  let timer: NodeJS.Timeout | undefined
  let isTold = false
  const look = (): void => {
    timer = undefined
    if (!waits()) return
    const ms = performance.now() - since
    if (ms >= silentMs && !isTold) tell(ms)
    isTold ||= ms >= silentMs
    if (!isTold) watch(silentMs - ms)
  }
  const watch = (ms: number): void => {
    timer ??= setTimeout(look, Math.max(1, ms)).unref()
  }
  return {
    asked(): void {
      if (timer === undefined && !isTold) since = performance.now()
      watch(silentMs)
    },
    heard(): void {
      since = performance.now()
      isTold = false
    },
  }
}

/** Memory that belongs to one thread; what both see is neither copied nor handed over. */
const isOneThreads = (value: unknown): value is Uint8Array =>
  value instanceof Uint8Array && value.buffer instanceof ArrayBuffer

const bytesIn = (value: unknown): number => (isOneThreads(value) ? value.byteLength : 0)

/** Part of a larger buffer is copied: handing it over would take the rest along. */
const own = (value: unknown): unknown =>
  isOneThreads(value) && value.byteLength < value.buffer.byteLength ? Uint8Array.from(value) : value

/** The memory that changes threads instead of being copied. */
export const handedOver = (values: readonly unknown[]): ArrayBuffer[] =>
  values.flatMap((value) =>
    isOneThreads(value) && value.buffer instanceof ArrayBuffer && value.byteLength > 0
      ? [value.buffer]
      : [],
  )
