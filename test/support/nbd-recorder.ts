/**
 * A disk in memory that remembers every write and flush, for crash images: what a power cut after any of them may leave. Speaks
 * NBD (the fixed newstyle handshake) on a socket of Unix, and obeys whoever has started it.
 * nbd-recorder.ts SOCKET BYTES
 */
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { xorshift } from './random.ts'

type Entry =
  | { readonly is: 'flush' }
  | { readonly is: 'write'; readonly at: number; readonly bytes: Buffer }

const transmission = 1 | 4 | 8 | 32 // has flags, flush, FUA, trim

const [socketPath = '', bytes = '0'] = process.argv.slice(2)
const size = Number(bytes)
const now = Buffer.alloc(size)
let base = Buffer.alloc(size)
let log: Entry[] = []

const disk: Disk = {
  size,
  read: (at, length) => Buffer.from(now.subarray(at, at + length)),
  write(at, some, isSafe) {
    some.copy(now, at)
    log.push({ is: 'write', at, bytes: some })
    if (isSafe) log.push({ is: 'flush' })
  },
  flush: () => void log.push({ is: 'flush' }),
}

/** What the other side asks for; `length` is that of the log since the mark. */
type Order =
  | { readonly do: 'mark' | 'length' }
  /** A crash after `count` entries; of what was not flushed each write survives by chance. */
  | { readonly do: 'image'; readonly path: string; readonly count: number; readonly seed: number }

function obey(order: Order): number {
  if (order.do === 'mark') {
    base = Buffer.from(now)
    log = []
  }
  if (order.do === 'image') {
    const random = xorshift(order.seed)
    const image = Buffer.from(base)
    const entries = log.slice(0, order.count)
    const flushed = entries.findLastIndex(({ is }) => is === 'flush')
    for (const [n, entry] of entries.entries())
      if (entry.is === 'write' && (n < flushed || random() % 2 === 0))
        entry.bytes.copy(image, entry.at)
    writeFileSync(order.path, image)
  }
  return log.length
}

interface Disk {
  readonly size: number
  read(at: number, length: number): Buffer<ArrayBuffer>
  write(at: number, bytes: Buffer, isSafe: boolean): void
  flush(): void
}

/** Takes so many bytes of what has come; waits for them. */
type Take = (count: number) => Promise<Buffer>

function serve(socket: Socket, disk: Disk): void {
  let buffered: Buffer = Buffer.alloc(0)
  let wanted: { count: number; give(bytes: Buffer): void } | undefined
  const settle = (): void => {
    if (!wanted || buffered.length < wanted.count) return
    const { count, give } = wanted
    wanted = undefined
    const bytes = buffered.subarray(0, count)
    buffered = buffered.subarray(count)
    give(bytes)
  }
  socket.on('data', (bytes) => {
    buffered = Buffer.concat([buffered, bytes])
    settle()
  })
  const take: Take = (count) =>
    new Promise((give) => {
      wanted = { count, give }
      settle()
    })
  void greet(socket, take, disk).then(() => answer(socket, take, disk))
}

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const long = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}
const short = (value: number): Buffer => Buffer.from([value >> 8, value & 255])

/** Options until one of them begins the transmission. */
async function greet(socket: Socket, take: Take, disk: Disk): Promise<void> {
  socket.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), short(3)]))
  const noZeroes = ((await take(4)).readUInt32BE() & 2) !== 0
  const reply = (option: number, type: number, data = Buffer.alloc(0)): void =>
    void socket.write(
      Buffer.concat([long(0x3e889045565a9n), word(option), word(type), word(data.length), data]),
    )
  const about = Buffer.concat([long(BigInt(disk.size)), short(transmission)])
  for (;;) {
    const head = await take(16)
    const option = head.readUInt32BE(8)
    await take(head.readUInt32BE(12))
    if (option === 1) {
      socket.write(noZeroes ? about : Buffer.concat([about, Buffer.alloc(124)]))
      return
    }
    if (option === 6 || option === 7) {
      reply(option, 3, Buffer.concat([short(0), about]))
      reply(option, 1)
      if (option === 7) return
    } else reply(option, 0x80000001)
  }
}

async function answer(socket: Socket, take: Take, disk: Disk): Promise<void> {
  for (;;) {
    const head = await take(28)
    const [isSafe, type] = [(head.readUInt16BE(4) & 1) !== 0, head.readUInt16BE(6)]
    const handle = Buffer.from(head.subarray(8, 16))
    const [at, length] = [Number(head.readBigUInt64BE(16)), head.readUInt32BE(24)]
    const done = (data = Buffer.alloc(0)): void =>
      void socket.write(Buffer.concat([word(0x67446698), word(0), handle, data]))
    if (type === 0) done(disk.read(at, length))
    else if (type === 1) {
      disk.write(at, Buffer.from(await take(length)), isSafe)
      done()
    } else if (type === 3) {
      disk.flush()
      done()
    } else if (type === 4) {
      disk.write(at, Buffer.alloc(length), isSafe)
      done()
    } else return
  }
}

createServer((one) => {
  one.on('error', () => one.destroy())
  serve(one, disk)
}).listen(socketPath)
process.on('message', (order: Order) => void process.send?.(obey(order)))
process.on('disconnect', () => process.exit())
