import { createServer as createHttps, request as httpsRequest } from 'node:https'
import { type AddressInfo, connect as connectTcp, createServer, Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import {
  type Credentials,
  httpsDial,
  httpsServe,
  type ServeLimits,
} from '../../src/transfer/https.ts'
import type { DialOptions, Request, Serve } from '../../src/transfer/transfer.ts'
import { checked, counting, text } from '../contract/bodies.ts'
import { quiet, testAuthority } from './authority.ts'

const options: DialOptions = { connectMs: 2_000, idleMs: 5_000 }
const get: Request = { method: 'GET', path: '/', headers: {} }
const done: Serve = async () => ({ status: 200, headers: {} })
const authority = testAuthority()
const credentials = async (identity: string) => (await authority).credentials(identity)
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function served(t: Test, serve: Serve, limits: Partial<ServeLimits> = {}, port = 0) {
  const tls = await credentials('exchange')
  const server = await httpsServe({ host: '127.0.0.1', port, tls, serve, world: quiet, limits })
  t.teardown(() => server.close())
  const to = { identity: 'exchange', url: `https://127.0.0.1:${server.port}` }
  return { ...server, to }
}

async function dialling(t: Test, tls?: Credentials) {
  const dial = httpsDial({ tls: tls ?? (await credentials('attic')), world: quiet })
  t.teardown(() => dial.close())
  return dial
}

/** A raw connection that proved itself, and all that came over it until it was closed. */
async function raw(port: number, more: ConnectionOptions = {}) {
  const tls = await credentials('attic')
  const socket = connect({ port, host: '127.0.0.1', servername: 'exchange', ...tls, ...more })
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  socket.on('error', () => {})
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(heard)))
  await Promise.race([
    closed,
    new Promise<void>((resolve) => socket.once('secureConnect', resolve)),
  ])
  return { socket, closed }
}

/** Sessions and connections as the server sees them. */
async function counted(t: Test, answer: 'keep' | 'close') {
  const server = createHttps(
    { ...(await credentials('exchange')), requestCert: true },
    (req, res) => {
      if (answer === 'close') res.setHeader('connection', 'close')
      res.end(`${(req.socket as TLSSocket).isSessionReused()}`)
    },
  )
  let connections = 0
  server.on('secureConnection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { to: { identity: 'exchange', url }, connections: () => connections }
}

t.test('connections are kept, and no more than a few to one address', async (t) => {
  const { to, connections } = await counted(t, 'keep')
  const dial = await dialling(t)
  for (let n = 0; n < 10; n++) await text(await dial(to, get, options))
  t.equal(connections(), 1)
  await Promise.all(Array.from({ length: 100 }, async () => text(await dial(to, get, options))))
  t.ok(connections() > 1 && connections() <= 16, `${connections()} connections`)
})

t.test('sessions are resumed, with the identity of the first handshake', async (t) => {
  const { to, connections } = await counted(t, 'close')
  const dial = await dialling(t)
  t.equal(await text(await dial(to, get, options)), 'false')
  await sleep(20)
  t.equal(await text(await dial(to, get, options)), 'true')
  t.equal(connections(), 2)
  await t.rejects(dial({ ...to, identity: 'tracker' }, get, options), { name: 'Unreachable' })
})

t.test('the server knows its peer in resumed sessions, too', async (t) => {
  const peers: string[] = []
  const { to } = await served(t, async (peer, { body }) => {
    peers.push(peer)
    for await (const _ of body ?? []) break // the connection ends with such an answer
    return { status: 200, headers: {} }
  })
  const dial = await dialling(t)
  for (let n = 0; n < 3; n++) {
    const request: Request = { ...get, method: 'PATCH', body: counting(10_000_000) }
    t.equal((await dial(to, request, options)).status, 200)
    await sleep(20)
  }
  t.strictSame(peers, ['attic', 'attic', 'attic'])
})

t.test('who shows no certificate of this archive is refused', async (t) => {
  let called = false
  const server = await served(t, async () => {
    called = true
    return { status: 200, headers: {} }
  })
  const { ca } = await credentials('attic')
  const bare = await raw(server.port, { ca, cert: '', key: '' })
  bare.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  t.equal(await bare.closed, '')
  const other = await (await testAuthority('other')).credentials('attic')
  const dial = await dialling(t, { ...other, ca })
  await t.rejects(dial(server.to, get, options))
  const trusting = await dialling(t, other)
  await t.rejects(trusting(server.to, get, options), { name: 'Unreachable' })
  t.equal(called, false)
})

t.test('a certificate that names nobody is refused on both sides', async (t) => {
  const { nameless } = await authority
  const server = await served(t, done)
  const dial = await dialling(t, nameless)
  await t.rejects(dial(server.to, get, options))
  const at = { host: '127.0.0.1', port: 0, serve: done, world: quiet }
  const anonymous = await httpsServe({ ...at, tls: nameless })
  t.teardown(() => anonymous.close())
  const url = `https://127.0.0.1:${anonymous.port}`
  for (const identity of ['exchange', 'home', 'colonnade ca']) {
    const answer = (await dialling(t))({ identity, url }, get, options)
    await t.rejects(answer, { name: 'Unreachable' }, identity)
  }
})

t.test('nothing older than TLS 1.3 is spoken', async (t) => {
  const server = await served(t, done)
  const { closed } = await raw(server.port, { maxVersion: 'TLSv1.2' })
  t.equal(await closed, '')
})

t.test('a server without a certificate of this archive is unreachable', async (t) => {
  const other = await (await testAuthority('other')).credentials('exchange')
  const server = await httpsServe({
    host: '127.0.0.1',
    port: 0,
    tls: other,
    serve: done,
    world: quiet,
  })
  t.teardown(() => server.close())
  const dial = await dialling(t)
  const url = `https://127.0.0.1:${server.port}`
  await t.rejects(dial({ identity: 'exchange', url }, get, options), { name: 'Unreachable' })
})

t.test('what never finishes to connect is unreachable after the connect time', async (t) => {
  const sockets: Socket[] = []
  const mute = createServer((socket) => sockets.push(socket))
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    mute.close()
  })
  const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
  const dial = await dialling(t)
  const began = performance.now()
  await t.rejects(dial({ identity: 'exchange', url }, get, { connectMs: 200, idleMs: 9_000 }), {
    name: 'Unreachable',
    message: `${url} did not connect within 200 ms`,
  })
  t.ok(performance.now() - began < 2_000)
})

t.test('the idle time does not run before the connection is up', async (t) => {
  const server = await served(t, done)
  const slow = createServer((from) => {
    const to = connectTcp(server.port, '127.0.0.1')
    setTimeout(() => from.pipe(to).pipe(from), 400)
    from.on('error', () => to.destroy())
    to.on('error', () => from.destroy())
  })
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve))
  t.teardown(() => slow.close())
  const url = `https://127.0.0.1:${(slow.address() as AddressInfo).port}`
  const dial = await dialling(t)
  const impatient: DialOptions = { connectMs: 5_000, idleMs: 200 }
  t.equal((await dial({ identity: 'exchange', url }, get, impatient)).status, 200)
  dial.close()
})

t.test('what is no https address is unreachable', async (t) => {
  const dial = await dialling(t)
  for (const url of ['http://127.0.0.1:1', 'file:///etc/passwd', 'exchange', 'https://']) {
    await t.rejects(dial({ identity: 'exchange', url }, get, options), { name: 'Unreachable' }, url)
  }
})

t.test('a kept connection that died is replaced', async (t) => {
  const server = await served(t, done)
  const dial = await dialling(t)
  t.equal((await dial(server.to, get, options)).status, 200)
  await server.close()
  const again = await served(t, done, {}, server.port)
  t.equal((await dial(again.to, get, options)).status, 200)
})

t.test('a kept connection that dies under its request is replaced', async (t) => {
  let requests = 0
  const server = createHttps({ ...(await credentials('exchange')) }, (req, res) => {
    if (++requests === 2) req.socket.destroy()
    else res.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const dial = await dialling(t)
  const to = { identity: 'exchange', url }
  t.equal(await text(await dial(to, get, options)), '')
  t.equal(await text(await dial(to, get, options)), '')
  t.equal(requests, 3)
})

t.test('a dialler that is closed cuts what is open and dials no more', async (t) => {
  const server = await served(t, () => new Promise(() => {}))
  const dial = await dialling(t)
  // More than there are connections: some still wait for one.
  const answers = Array.from({ length: 20 }, () => dial(server.to, get, options))
  await sleep(100)
  dial.close()
  for (const answer of answers) await t.rejects(answer, { name: 'Cut' })
  await t.rejects(dial(server.to, get, options), { name: 'Unreachable' })
})

t.test('a refusal on the way is seen to its end, also by a slow reader', async (t) => {
  const server = await served(t, async (_, { body }) => {
    for await (const _ of body ?? []) break
    return { status: 503, headers: {}, body: counting(3_000_000) }
  })
  const dial = await dialling(t)
  const request: Request = { ...get, method: 'PATCH', body: counting(100_000_000) }
  const { body } = await dial(server.to, request, options)
  await sleep(200)
  t.equal(await checked(body, 3_000_000), 3_000_000)
})

t.test('an upload refused on the way leaves no connection behind', async (t) => {
  const readSome: Serve = async (_, { body }) => {
    for await (const _ of body ?? []) break
    return { status: 503, headers: {} }
  }
  const server = await served(t, readSome, { connectionsPerPeerMax: 1, lingerMs: 60_000 })
  const dial = await dialling(t)
  for (let n = 0; n < 3; n++) {
    const request: Request = { ...get, method: 'PATCH', body: counting(100_000_000) }
    t.equal((await dial(server.to, request, options)).status, 503)
    await sleep(50)
  }
})

t.test('a peer has only so many connections', async (t) => {
  const server = await served(t, done, { connectionsPerPeerMax: 2 })
  const [one, two] = [await raw(server.port), await raw(server.port)]
  const three = await raw(server.port)
  t.equal(await three.closed, '')
  t.equal(two.socket.destroyed, false)
  one.socket.destroy()
  await sleep(50)
  const four = await raw(server.port)
  four.socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  t.match(await four.closed, /^HTTP\/1.1 200/)
  two.socket.destroy()
})

t.test('who dawdles with the head of a request is cut', async (t) => {
  const server = await served(t, done, { headersMs: 300 })
  const { socket, closed } = await raw(server.port)
  const began = performance.now()
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n')
  const dawdling = setInterval(() => socket.write('x: y\r\n'), 50)
  t.match(await closed, /^HTTP\/1.1 408/)
  clearInterval(dawdling)
  t.ok(performance.now() - began < 2_000)
})

t.test('[HOST-7] who gives a body a byte at a time is cut, who is only slow is not', async (t) => {
  const read: Serve = async (_, { body }) => {
    for await (const _ of body ?? []);
    return { status: 200, headers: {} }
  }
  const server = await served(t, read, { dawdleMs: 400, dawdleBytesMin: 600 })
  const upload = async (bytes: number, everyMs: number) => {
    const { socket, closed } = await raw(server.port)
    socket.write('PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\nconnection: close\r\n\r\n')
    const timer = setInterval(() => socket.write('x'.repeat(bytes)), everyMs)
    const heard = await closed
    clearInterval(timer)
    return heard.slice(0, 12)
  }
  t.same(await Promise.all([upload(1, 20), upload(200, 50)]), ['', 'HTTP/1.1 200'])
})

t.test('[HOST-7] who is refused again and again waits for it', async (t) => {
  const server = await served(t, done, { refusalsBurst: 2, refusalsPerSecond: 5 })
  const dial = await dialling(t)
  const began = performance.now()
  for (let n = 0; n < 4; n++)
    t.equal((await dial(server.to, { ...get, path: '/?' }, options)).status, 400)
  t.ok(performance.now() - began > 350, 'two at once, and five a second')
  t.equal((await dial(server.to, get, options)).status, 200)
})

t.test('who never begins a handshake is cut', async (t) => {
  const server = await served(t, done, { handshakeMs: 200 })
  const socket = new Socket().connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  t.pass('closed')
})

t.test(
  'who falls silent with the body of a request is cut, who is being answered is not',
  async (t) => {
    let why: unknown
    const server = await served(
      t,
      async (_, { method, body }) => {
        if (method === 'GET') await sleep(500)
        try {
          for await (const _ of body ?? []);
        } catch (error) {
          why = error
        }
        return { status: 200, headers: {} }
      },
      { transferIdleMs: 150 },
    )
    const { socket, closed } = await raw(server.port)
    socket.write('PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc')
    t.equal(await closed, '')
    await sleep(50)
    t.match(why, { name: 'Cut' })
    const dial = await dialling(t)
    t.equal((await dial(server.to, get, options)).status, 200)
  },
)

t.test('heads that are too big, queries and other methods are refused', async (t) => {
  const server = await served(t, done)
  const status = async (head: string) => {
    const { socket, closed } = await raw(server.port)
    socket.write(`${head}\r\nhost: x\r\nconnection: close\r\n\r\n`)
    return (await closed).slice(9, 12)
  }
  t.equal(await status('GET / HTTP/1.1'), '200')
  t.equal(await status(`GET / HTTP/1.1\r\nx: ${'y'.repeat(40_000)}`), '431')
  t.equal(await status('GET /?a=b HTTP/1.1'), '400')
  t.equal(await status('GET http://elsewhere/ HTTP/1.1'), '400')
  t.equal(await status('POST / HTTP/1.1'), '405')
})

t.test('a body that is not read ends the connection, after the answer', async (t) => {
  const server = await served(t, done, { lingerMs: 200 })
  const { socket, closed } = await raw(server.port)
  socket.write('PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\nabc')
  t.match(await closed, /^HTTP\/1.1 200/)
})

t.test('closing a server ends its connections', async (t) => {
  const server = await served(t, () => new Promise(() => {}))
  const { closed } = await raw(server.port)
  const dial = await dialling(t)
  const answer = t.rejects(dial(server.to, get, options), { name: 'Cut' })
  await sleep(100)
  await server.close()
  await answer
  t.equal(await closed, '')
})

t.test('an address in use is told', async (t) => {
  const { port } = await served(t, done)
  await t.rejects(served(t, done, {}, port), { code: 'EADDRINUSE' })
})

t.test('an ordinary client of HTTPS is answered', async (t) => {
  const { port } = await served(t, async (peer, { body }) => ({
    status: 200,
    headers: { peer },
    body: counting(Number(await text({ status: 0, headers: {}, ...(body ? { body } : {}) }))),
  }))
  const tls = await credentials('attic')
  const got = await new Promise<number>((resolve, reject) => {
    const headers = { 'content-length': 3 }
    const req = httpsRequest({
      port,
      host: '127.0.0.1',
      servername: 'exchange',
      method: 'PATCH',
      headers,
      ...tls,
    })
    req.on('error', reject).on('response', async (res) => {
      let bytes = 0
      for await (const chunk of res) bytes += chunk.length
      resolve(bytes)
    })
    req.end('999')
  })
  t.equal(got, 999)
})

t.test(
  '[REV-1] who is not admitted any more is cut, and a dialler takes no such key',
  async (t) => {
    const tls = await credentials('exchange')
    const turnedOut = new Set<string>()
    const admit = (identity: string): boolean => !turnedOut.has(identity)
    const at = { host: '127.0.0.1', port: 0, tls, serve: done, admit, world: quiet }
    const server = await httpsServe(at)
    t.teardown(() => server.close())
    const { closed } = await raw(server.port)
    const { socket, closed: second } = await raw(server.port)
    turnedOut.add('attic')
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    t.equal(await second, '', 'what is asked on an old connection is not answered')
    server.recheck()
    t.equal(await closed, '', 'and silent ones are cut')
    const to = { identity: 'exchange', url: `https://127.0.0.1:${server.port}` }
    const wary = httpsDial({ tls: await credentials('bob'), world: quiet, admit: () => false })
    t.teardown(() => wary.close())
    await t.rejects(wary(to, get, options), /this key is not exchange's any more/)
  },
)
