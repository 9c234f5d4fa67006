import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type EmbeddedBrokerOptions, embeddedBroker } from '../../src/bus/embedded.ts'
import { systemClock } from '../../src/system/clock.ts'
import { systemRandom } from '../../src/system/random.ts'
import { hashingInThread } from '../../src/world/hashing.ts'
import type { World } from '../../src/world/world.ts'
import { makePki } from './pki.ts'

/** The real world, and a log that only remembers. */
export function quietWorld(): World & { readonly lines: string[] } {
  const lines: string[] = []
  const say = (event: string, about: object = {}): void => {
    lines.push(`${event} ${JSON.stringify(about)}`)
  }
  return {
    clock: systemClock(),
    random: systemRandom(),
    hashing: hashingInThread(),
    log: { debug: say, info: say, warn: say, error: say },
    lines,
  }
}

/** A broker in this process, on loopback, with certificates of its own; everything is allowed unless told otherwise. */
export async function startEmbedded(t: Test, options: Partial<EmbeddedBrokerOptions> = {}) {
  const pki = await makePki()
  const world = quietWorld()
  const broker = await embeddedBroker({
    host: '127.0.0.1',
    port: 0,
    tls: await pki.credentialsOf('broker'),
    allow: () => true,
    world,
    ...options,
  })
  t.teardown(() => broker.close())
  return { broker, pki, world, url: `mqtts://127.0.0.1:${broker.port}` }
}

/** mosquitto with the configuration that we ship; only paths, port and user are changed. */
export async function startMosquitto(t: Test, acl?: string) {
  const pki = await makePki()
  const folder = t.testdir({})
  const port = await freePort()
  const { ca, cert, key } = await pki.credentialsOf('broker')
  const shipped = join(import.meta.dirname, '..', '..', 'deploy')
  const config = (await readFile(join(shipped, 'mosquitto.conf'), 'utf8'))
    .replaceAll(/\/etc\/mosquitto\/colonnade|\/var\/lib\/mosquitto/g, folder)
    .replace('listener 8883', `listener ${port} 127.0.0.1`)
  await writeFile(join(folder, 'ca.crt'), ca)
  await writeFile(join(folder, 'broker.crt'), cert)
  await writeFile(join(folder, 'broker.key'), key)
  await writeFile(join(folder, 'acl'), acl ?? (await readFile(join(shipped, 'mosquitto.acl'))), {
    mode: 0o600,
  })
  await writeFile(join(folder, 'mosquitto.conf'), `${config}\nuser root\n`)
  const child = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'pipe' })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  await started(child.stderr)
  return { pki, world: quietWorld(), port }
}

/** Waits until mosquitto says that it runs; throws what it said when it ends before. */
async function started(output: NodeJS.ReadableStream): Promise<void> {
  let said = ''
  for await (const chunk of output) {
    said += chunk
    if (!/ running\n/.test(said)) continue
    output.resume()
    return
  }
  throw new Error(`mosquitto did not start: ${said}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface Relay {
  readonly port: number
  /** Both ends see their connections end at once. */
  cut(): void
  /** Passes on nothing more from the far end, without a word to it. */
  freeze(): void
}

/** A line to a port on loopback that can be cut. */
export async function startRelay(t: Test, port: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const fars = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    fars.add(far)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    server.close()
    cut()
  })
  const freeze = () => {
    for (const socket of fars) socket.unpipe().pause()
  }
  return { port: portOf(server), cut, freeze }
}

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
