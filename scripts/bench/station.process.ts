/** The process behind a station: our own parts as the programs put them together, or what Node.js gives by itself. */
import { createHash, randomFillSync } from 'node:crypto'
import { createWriteStream, mkdirSync, renameSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { offerOf } from '../../src/client/files.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import type { NewFile, Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { systemWorld } from '../../src/system/world.ts'
import { httpsDial, httpsServe } from '../../src/transfer/https.ts'
import { parseRange } from '../../src/transfer/objects.ts'
import { pull } from '../../src/transfer/pull.ts'
import { route } from '../../src/transfer/route.ts'
import type { Dial, Serve } from '../../src/transfer/transfer.ts'
import type { Order, Setting } from './station.ts'

const world = systemWorld('bench', 'error')
const collection = 'home'
const actor = { actor: 'bench', conversation: 'bench' }
let count = 0

/** What the process does when it is told to; resolves with the port that it serves on. */
interface Works {
  readonly port: number
  order(order: Order): Promise<void>
}

async function openStore(home: string): Promise<{ disk: Disk; store: Store }> {
  const root = join(home, 'colonnade')
  mkdirSync(root, { recursive: true })
  const thread = await openVolumeThread({ root })
  const { disk } = thread
  const owner = { pillar: 'attic', archive: 'bench' }
  await adoptVolume(world, disk, { ...owner, volume: 'bench' })
  const index = await thread.openIndex('.index.sqlite')
  return { disk, store: await openVolume(world, disk, index, { ...owner, reserveBytes: 0 }) }
}

function fileOf({ size, checksum }: Pick<Setting, 'size' | 'checksum'>): NewFile {
  return { collection, id: `file-${++count}`, size, checksum, mtime: 1_600_000_000_000 }
}

const accept = (store: Store, files: readonly NewFile[]): Promise<unknown> =>
  store.accept({ key: `${count}`, substance: '', request: '{}' }, files)

async function ours(setting: Setting): Promise<Works> {
  const { home, file, size, tls } = setting
  const { disk, store } = await openStore(home)
  const user = await openVolumeThread({ root: '/' })
  const dial = httpsDial({ tls, world })
  const source = file.slice(1)
  const mtime = Math.floor(statSync(file).mtimeMs)
  const offer = offerOf(user.disk, source, { size, mtime })
  const stored = async (work: (one: NewFile) => Promise<void>): Promise<void> => {
    const one = fileOf(setting)
    await accept(store, [one])
    await work(one)
  }
  const serve: Serve = async (_peer, { method, headers, body }) => {
    if (method === 'PATCH' && body) {
      await stored(async ({ id }) => {
        const incoming = await store.incoming(collection, id)
        for await (const bytes of body) await incoming.write(bytes)
        await right(incoming.finish(actor))
      })
      return { status: 204, headers: {} }
    }
    const { first = 0, last = size - 1 } = parseRange(headers.range ?? '') ?? {}
    const length = last - first + 1
    const range = { 'content-range': `bytes ${first}-${last}/${size}`, etag: '"file"' }
    return {
      status: 206,
      headers: { ...range, 'content-length': `${length}` },
      body: offer.read(first, length),
    }
  }
  const served = await httpsServe({ host: '127.0.0.1', port: 0, tls, serve, world })
  return {
    port: served.port,
    order: async (order) => {
      if (order.do === 'store') return storeMany(store, order.count)
      if (order.do === 'scrub') return scrub(disk, store, setting)
      return stored((one) => fetched(store, dial, one, order.port))
    },
  }
}

/** As a pillar fetches it, from a server that knows nothing of us. */
async function fetched(store: Store, dial: Dial, file: NewFile, port: number): Promise<void> {
  const plain: Dial = (to, request, options) => {
    const { range = '' } = request.headers
    return dial(to, { ...request, headers: { range } }, options)
  }
  const incoming = await store.incoming(collection, file.id)
  const hop = { identity: 'source', url: `https://127.0.0.1:${port}`, connectMs: 1_000 }
  await pull({
    world,
    dial: plain,
    key: { issuer: 'bench', name: 'file'.padEnd(22, '0') },
    size: file.size,
    sink: incoming,
    signal: new AbortController().signal,
    route: route(world),
    hops: () => [{ ...hop, relay: false }],
    token: () => '',
  })
  await right(incoming.finish(actor))
}

let kept: NewFile | undefined

/** The file is stored first, in a turn that is not counted. */
async function scrub(disk: Disk, store: Store, setting: Setting): Promise<void> {
  if (kept === undefined) {
    kept = fileOf(setting)
    await accept(store, [kept])
    const incoming = await store.incoming(collection, kept.id)
    const user = await openVolumeThread({ root: '/' })
    for (let at = 0; at < setting.size; ) {
      const bytes = await user.disk.read(setting.file.slice(1), at, 1024 * 1024)
      at += bytes.length
      await incoming.write(bytes)
    }
    await right(incoming.finish(actor))
    await user.close()
    await disk.sync(`${collection}/data/${kept.id}`)
  }
  const [file] = await store.stored(collection, [kept.id])
  if (!file) throw new Error('the file to be scrubbed is not stored')
  const hasher = world.hashing.start('sha256')
  for await (const bytes of store.readMedium(file)) hasher.update(bytes)
  if (hasher.hex() !== setting.checksum) throw new Error('the scrub read other bytes')
}

/** Ready together as they are when many small files come in: 16 at a time. */
async function storeMany(store: Store, many: number): Promise<void> {
  const bytes = randomFillSync(Buffer.alloc(10_000))
  const checksum = createHash('sha256').update(bytes).digest('hex')
  const files = Array.from({ length: many }, () => fileOf({ size: bytes.length, checksum }))
  for (let at = 0; at < many; at += 64) await accept(store, files.slice(at, at + 64))
  const queue = files.values()
  const lane = async (): Promise<void> => {
    for (const { id } of queue) {
      const incoming = await store.incoming(collection, id)
      await incoming.write(new Uint8Array(bytes))
      await right(incoming.finish(actor))
    }
  }
  await Promise.all(Array.from({ length: 16 }, lane))
}

async function right(outcome: Promise<string>): Promise<void> {
  if ((await outcome) !== 'stored') throw new Error('the bytes that came were others')
}

/** What the manual of Node.js shows: a pipeline into a file, hashed on the way, flushed at its end. */
async function plain({ home, checksum, tls }: Setting): Promise<Works> {
  mkdirSync(join(home, 'plain'), { recursive: true })
  const server = createServer({ ...tls, minVersion: 'TLSv1.3', requestTimeout: 0 }, (req, res) => {
    const hash = createHash('sha256')
    const path = join(home, 'plain', `${++count}`)
    async function* hashed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const bytes of source) {
        hash.update(bytes)
        yield bytes
      }
    }
    pipeline(req, hashed, createWriteStream(`${path}.part`, { flush: true })).then(
      () => {
        renameSync(`${path}.part`, path)
        res.writeHead(hash.digest('hex') === checksum ? 204 : 400).end()
      },
      () => res.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    order: async () => {
      throw new Error('this only takes what is brought')
    },
  }
}

process.once('message', (setting: Setting) => {
  void (setting.is === 'ours' ? ours(setting) : plain(setting)).then((works) => {
    process.on('message', (order: Order) => {
      works.order(order).then(
        () => process.send?.(true),
        (error) => process.send?.(String(error)),
      )
    })
    process.send?.(works.port)
  })
})
process.once('disconnect', () => process.exit(0))
