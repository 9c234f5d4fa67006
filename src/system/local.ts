/** A program that runs tells another on its machine how it is: one object, by a socket in a folder of its own. */
import { existsSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'

const socketName = 'agent.sock'
/** What is told fits many times; more is not ours. */
const bytesMax = 1024 * 1024
const waitMs = 10_000

interface Home {
  readonly home?: string | undefined
  readonly ca: string
}

const inHome = ({ home, ca }: Home): string => join(home ?? dirname(ca), socketName)

/** Where an agent makes its socket: in the folder that systemd gave it, else where its state is. */
export const socketOf = (config: Home): string => {
  const given = process.env.RUNTIME_DIRECTORY
  return given === undefined ? inHome(config) : join(given, socketName)
}

/** Where the socket of an agent may be. */
export const socketsOf = (config: Home): string[] => [
  join('/run/colonnade-agent', socketName),
  inHome(config),
]

/** Answers whoever connects to the path, until the function it resolves with is called. Rejects when it can not be made. */
export async function tellLocally(
  path: string,
  what: () => Promise<unknown>,
): Promise<() => Promise<void>> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    void what().then(
      (told) => socket.end(JSON.stringify(told)),
      () => socket.destroy(),
    )
  })
  // Left there by one that was killed: whoever has the index is alone.
  rmSync(path, { force: true })
  await new Promise<void>((done, fail) => server.once('error', fail).listen(path, done))
  server.unref()
  return () => new Promise((done) => server.close(() => done()))
}

/** What the program at this path tells; undefined when there is none. */
export async function askLocally(path: string): Promise<unknown> {
  const text = existsSync(path) ? await heard(path) : undefined
  return text === undefined || text === '' ? undefined : JSON.parse(text)
}

const heard = (path: string): Promise<string | undefined> =>
  new Promise((done) => {
    let text = ''
    const socket = connect(path)
    const give = (): void => {
      socket.destroy()
      done(undefined)
    }
    socket.setTimeout(waitMs, give)
    socket.on('error', give)
    socket.on('data', (bytes) => {
      text += bytes
      if (text.length > bytesMax) give()
    })
    socket.on('end', () => done(text))
  })
