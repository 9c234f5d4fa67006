/**
 * A word with the running agent, from a command on the same board: a socket that only its user (and root) may open. One
 * question a connection, a line of JSON each way.
 */
import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import type { World } from '../world/world.ts'

/** What can be asked: each takes what was said with the question and answers, or rejects with a sentence. */
export type Controls = Readonly<
  Record<string, (about: Readonly<Record<string, unknown>>) => Promise<object>>
>

const socketName = 'control.sock'
/** Where the packaged service keeps its socket: what it is configured by it may not write to. */
const serviceFolder = '/run/colonnade-agent'
/** A question is short, and whoever asks does so at once. */
const questionBytesMax = 64 * 1024
const questionMs = 10_000

interface Home {
  readonly home?: string | undefined
  readonly ca: string
}

/** Where the agent with this configuration listens; the first is for whoever serves. */
export function controlPaths({ home, ca }: Home): readonly [string, ...string[]] {
  const own = join(home ?? dirname(ca), socketName)
  const service = join(serviceFolder, socketName)
  return existsSync(serviceFolder) && own.startsWith('/etc/') ? [service, own] : [own, service]
}

/** Listens until the function it resolves with is called. Rejects when another agent listens there. */
export async function serveControl(path: string, controls: Controls): Promise<() => Promise<void>> {
  if (await isServed(path)) throw new Error(`another agent listens at ${path}`)
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  const open = new Set<Socket>()
  // Whoever asks has nothing more to say: the answer may come later than his end.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => open.delete(socket))
    socket.setTimeout(questionMs, () => socket.destroy())
    void answer(socket, controls)
  })
  // From its first moment on nobody else may open it.
  const before = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } finally {
    process.umask(before)
  }
  chmodSync(path, 0o600)
  server.unref()
  return async () => {
    for (const socket of open) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
    rmSync(path, { force: true })
  }
}

/** Serves it where the agent with this configuration is asked; without the socket there is a pillar all the same. */
export async function offerControl(
  { log }: Pick<World, 'log'>,
  home: Home,
  controls: Controls,
): Promise<() => Promise<void>> {
  try {
    return await serveControl(controlPaths(home)[0], controls)
  } catch (error) {
    log.warn('control.failed', { why: String(error) })
    return async () => undefined
  }
}

/** The answer of the agent that listens there; undefined when none does. Rejects with the sentence of one that refuses. */
export async function askControl(
  paths: readonly string[],
  what: string,
  about: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, unknown> | undefined> {
  for (const path of paths) {
    const socket = await connected(path)
    if (!socket) continue
    socket.end(`${JSON.stringify({ ask: what, about })}\n`)
    const text = await lineOf(socket, Number.POSITIVE_INFINITY)
    if (text === undefined) throw new Error('the agent has ended meanwhile')
    const { error, ...found } = JSON.parse(text) as Record<string, unknown>
    if (typeof error === 'string') throw new Error(error)
    return found
  }
  return undefined
}

async function answer(socket: Socket, controls: Controls): Promise<void> {
  let said: object
  try {
    const text = await lineOf(socket, questionBytesMax)
    // The answer may take its time.
    socket.setTimeout(0)
    const { ask, about } = JSON.parse(text ?? '') as Record<string, unknown>
    const control =
      typeof ask === 'string' && Object.hasOwn(controls, ask) ? controls[ask] : undefined
    if (!control) throw new Error(`this agent does not know "${String(ask)}": is it older?`)
    said = await control((about ?? {}) as Record<string, unknown>)
  } catch (error) {
    said = { error: error instanceof Error ? error.message : String(error) }
  }
  socket.end(`${JSON.stringify(said)}\n`)
}

/** The first line; undefined when the other side ends before, or says too much. */
function lineOf(socket: Socket, bytesMax: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (some: string) => {
      text += some
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
      else if (text.length > bytesMax) socket.destroy()
    })
    socket.on('close', () => resolve(undefined))
  })
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') reject(new Error(`${path} is not ours: put sudo before it`))
      else resolve(undefined)
    })
  })
}

async function isServed(path: string): Promise<boolean> {
  const socket = await connected(path)
  socket?.destroy()
  return socket !== undefined
}
