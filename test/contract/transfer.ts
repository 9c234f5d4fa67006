import type { Test } from 'tap'
import {
  Cut,
  type Dial,
  type DialOptions,
  type Request,
  type Serve,
  Unreachable,
} from '../../src/transfer/transfer.ts'
import {
  bytes,
  checked,
  counting,
  failing,
  kept,
  MiB,
  opening,
  pieces,
  stuck,
  text,
  tracked,
} from './bodies.ts'

/** One kind of network, with time of its own. */
export interface Rig {
  serve(identity: string, serve: Serve): Promise<{ url: string; close(): Promise<void> }>
  dialAs(identity: string): Dial
  /** An address where nobody listens. */
  readonly nowhere: string
  /** Idle time to use: short in real time, as real in virtual time. */
  readonly idleMs: number
  sleep(ms: number): Promise<void>
  monotonic(): number
  /** Drives the clock until the work is done. */
  run(work: () => Promise<void>): Promise<void>
}

/** What every Dial and Serve must do. */
export function transferContract(t: Test, name: string, makeRig: (t: Test) => Promise<Rig>): void {
  const told = (title: string, work: (t: Test, rig: Rig) => Promise<void>) =>
    t.test(`${name}: ${title}`, async (t) => {
      const rig = await makeRig(t)
      await rig.run(() => work(t, rig))
    })
  const options = (rig: Rig, signal?: AbortSignal): DialOptions => ({
    connectMs: 2_000,
    idleMs: rig.idleMs,
    ...(signal ? { signal } : {}),
  })

  told('a request and its answer arrive as they were sent', async (t, rig) => {
    const seen: object[] = []
    const { url } = await rig.serve('exchange', async (peer, { method, path, headers, body }) => {
      seen.push([peer, method, path, headers['x-mine'], body === undefined])
      return { status: 207, headers: { 'x-yours': 'b' }, body: pieces('hello, ', 'world') }
    })
    const dial = rig.dialAs('attic')
    for (const method of ['GET', 'DELETE', 'PATCH', 'HEAD'] as const) {
      const request: Request = { method, path: '/o/1', headers: { 'x-mine': 'a' } }
      const response = await dial({ identity: 'exchange', url }, request, options(rig))
      t.equal(response.status, 207)
      t.equal(response.headers['x-yours'], 'b')
      t.equal(await text(response), method === 'HEAD' ? '' : 'hello, world')
    }
    t.strictSame(seen, [
      ['attic', 'GET', '/o/1', 'a', true],
      ['attic', 'DELETE', '/o/1', 'a', true],
      ['attic', 'PATCH', '/o/1', 'a', false],
      ['attic', 'HEAD', '/o/1', 'a', true],
    ])
  })

  told(
    '64 MiB arrive equal, up and down, from makers that use one buffer again',
    async (t, rig) => {
      const size = 64 * MiB + 4321
      let sum = 0
      const { url } = await rig.serve('exchange', async (_, { method, body }) => {
        if (method === 'GET') {
          return { status: 200, headers: { 'content-length': `${size}` }, body: counting(size) }
        }
        sum = await checked(body, size)
        return { status: 204, headers: {} }
      })
      const to = { identity: 'exchange', url }
      const dial = rig.dialAs('attic')
      const up: Request = { method: 'PATCH', path: '/', headers: {}, body: counting(size) }
      t.equal((await dial(to, up, options(rig))).status, 204)
      t.equal(sum, size)
      const { body } = await dial(to, get, options(rig))
      t.equal(await checked(body, size), size)
    },
  )

  told('what was given stays as it is until more is asked for', async (t, rig) => {
    const size = 3_000_000
    async function* slowly(body: AsyncIterable<Uint8Array> | undefined) {
      for await (const chunk of body ?? []) {
        await rig.sleep(2)
        yield chunk
      }
    }
    const { url } = await rig.serve('exchange', async (_, { method, body }) => {
      if (method === 'GET') return { status: 200, headers: {}, body: counting(size) }
      const read = await checked(slowly(body), size)
      return { status: 200, headers: { read: `${read}` } }
    })
    const dial = rig.dialAs('attic')
    const to = { identity: 'exchange', url }
    const up: Request = { method: 'PATCH', path: '/', headers: {}, body: counting(size) }
    const answer = await dial(to, up, options(rig))
    t.equal(answer.headers.read, `${size}`)
    await text(answer)
    t.equal(await checked(slowly((await dial(to, get, options(rig))).body), size), size)
  })

  told('a slow reader makes the maker of a request wait', async (t, rig) => {
    const gate = opening()
    const { url } = await rig.serve('exchange', async (_, { body }) => {
      let read = 0
      for await (const chunk of body ?? []) {
        if (read === 0) await gate.open
        read += chunk.length
      }
      return { status: 200, headers: { read: `${read}` } }
    })
    const maker = tracked(Array.from({ length: 64 }, () => new Uint8Array(MiB)))
    const request: Request = { method: 'PATCH', path: '/', headers: {}, body: maker.body }
    const answer = rig.dialAs('attic')({ identity: 'exchange', url }, request, options(rig))
    await rig.sleep(rig.idleMs / 2)
    t.ok(maker.taken >= 1)
    t.ok(maker.taken <= 24, `${maker.taken} MiB taken`)
    gate.pass()
    t.equal((await answer).headers.read, `${64 * MiB}`)
    t.equal(maker.taken, 64)
  })

  told('a slow reader makes the maker of an answer wait, and is not cut', async (t, rig) => {
    const maker = tracked(Array.from({ length: 64 }, () => new Uint8Array(MiB)))
    const { url } = await rig.serve('exchange', async () => ({
      status: 200,
      headers: {},
      body: maker.body,
    }))
    const { body } = await rig.dialAs('attic')({ identity: 'exchange', url }, get, options(rig))
    let read = 0
    for await (const chunk of body ?? []) {
      if (read === 0) await rig.sleep(rig.idleMs * 1.5)
      if (read === 0) t.ok(maker.taken <= 24, `${maker.taken} MiB taken`)
      read += chunk.length
    }
    t.equal(read, 64 * MiB)
  })

  told(
    'a slow maker of a request does not take its own silence for that of the peer',
    async (t, rig) => {
      const { url } = await rig.serve('exchange', async (_, { body }) => ({
        status: 200,
        headers: { read: `${(await kept(body)).length > 0}` },
      }))
      const slow = async function* () {
        await rig.sleep(rig.idleMs * 1.5)
        yield bytes('abc')
        await rig.sleep(rig.idleMs * 1.5)
      }
      const request: Request = { method: 'PATCH', path: '/', headers: {}, body: slow() }
      const answer = rig.dialAs('attic')({ identity: 'exchange', url }, request, options(rig))
      t.equal((await answer).headers.read, 'true')
    },
  )

  told('a refused upload sends no byte of its body', async (t, rig) => {
    const { url } = await rig.serve('exchange', async (_, { method }) => ({
      status: method === 'PATCH' ? 409 : 200,
      headers: { 'upload-offset': '7' },
      body: pieces('wrong offset\n'),
    }))
    const dial = rig.dialAs('attic')
    const maker = tracked([new Uint8Array(MiB)])
    const request: Request = { method: 'PATCH', path: '/', headers: {}, body: maker.body }
    const response = await dial({ identity: 'exchange', url }, request, options(rig))
    t.equal(response.status, 409)
    t.equal(response.headers['upload-offset'], '7')
    t.equal(await text(response), 'wrong offset\n')
    t.equal(maker.taken, 0)
    t.equal(maker.returned, true)
    t.equal((await dial({ identity: 'exchange', url }, get, options(rig))).status, 200)
  })

  told('an upload refused on the way sees the refusal', async (t, rig) => {
    const { url } = await rig.serve('exchange', async (_, { body }) => {
      for await (const _ of body ?? []) break
      return { status: 503, headers: {}, body: pieces('x'.repeat(100_000)) }
    })
    const dial = rig.dialAs('attic')
    for (let round = 0; round < 10; round++) {
      const maker = tracked(Array.from({ length: 100 }, () => new Uint8Array(MiB)))
      const request: Request = { method: 'PATCH', path: '/', headers: {}, body: maker.body }
      const response = await dial({ identity: 'exchange', url }, request, options(rig))
      t.equal(response.status, 503)
      t.equal((await text(response)).length, 100_000)
      t.ok(maker.taken > 0 && maker.taken < 60, `${maker.taken} MiB taken`)
      await rig.sleep(1)
      t.equal(maker.returned, true)
    }
  })

  told('an answer that breaks off is a cut one', async (t, rig) => {
    const { url } = await rig.serve('exchange', async (_, { path }) => {
      const headers: Record<string, string> = {}
      if (path !== '/chunked') headers['content-length'] = '1000'
      return {
        status: 200,
        headers,
        body:
          path === '/short'
            ? pieces('abc')
            : path === '/long'
              ? pieces('y'.repeat(1001))
              : failing(),
      }
    })
    for (const path of ['/failing', '/chunked', '/short', '/long']) {
      const dial = rig.dialAs('attic')
      const request: Request = { method: 'GET', path, headers: {} }
      const read = async () =>
        text(await dial({ identity: 'exchange', url }, request, options(rig)))
      await t.rejects(read(), { name: 'Cut' }, path)
    }
  })

  told('a maker that fails gets its own error back, and the reader sees a cut', async (t, rig) => {
    const ended = opening<unknown>()
    const { url } = await rig.serve('exchange', async (_, { body }) => {
      await kept(body).catch(ended.pass)
      return { status: 200, headers: {} }
    })
    const dial = rig.dialAs('attic')
    const short = { 'content-length': '5' }
    for (const [body, headers, message] of [
      [failing(), {}, 'the maker failed'],
      [pieces('abc'), short, 'the body ended after 3 of 5 bytes'],
      [pieces('abc', 'def'), short, 'the body is longer than the 5 bytes promised'],
    ] as const) {
      const request: Request = { method: 'PATCH', path: '/', headers, body }
      await t.rejects(dial({ identity: 'exchange', url }, request, options(rig)), { message })
    }
    t.ok((await ended.open) instanceof Cut)
  })

  told('a peer that falls silent is cut after the idle time', async (t, rig) => {
    const gone: string[] = []
    const { url } = await rig.serve('exchange', async (_, { path }, signal) => {
      signal.addEventListener('abort', () => gone.push(path))
      if (path === '/head') await new Promise(() => {})
      return { status: 200, headers: {}, body: stuck() }
    })
    const dial = rig.dialAs('attic')
    const began = rig.monotonic()
    const read = async (path: string) =>
      text(
        await dial(
          { identity: 'exchange', url },
          { method: 'GET', path, headers: {} },
          options(rig),
        ),
      )
    await t.rejects(read('/head'), { name: 'Cut', message: `not a byte for ${rig.idleMs} ms` })
    const took = rig.monotonic() - began
    t.ok(took >= rig.idleMs && took < rig.idleMs * 3, `${took} ms`)
    await t.rejects(read('/body'), { name: 'Cut', message: `not a byte for ${rig.idleMs} ms` })
    await rig.sleep(50)
    t.strictSame(gone, ['/head', '/body'])
  })

  told('a slow peer that goes on is not cut', async (t, rig) => {
    const slowly = async function* () {
      for (const piece of ['a', 'b', 'c', 'd']) {
        await rig.sleep(rig.idleMs * 0.6)
        yield bytes(piece)
      }
    }
    const { url } = await rig.serve('exchange', async (_, { body }) => {
      if (body !== undefined) await checked(body, 4).catch(() => {})
      return { status: 200, headers: {}, body: slowly() }
    })
    const dial = rig.dialAs('attic')
    const request: Request = { method: 'PATCH', path: '/', headers: {}, body: slowly() }
    t.equal(await text(await dial({ identity: 'exchange', url }, request, options(rig))), 'abcd')
  })

  told('nobody there is unreachable, and the body is untouched', async (t, rig) => {
    const maker = tracked([bytes('abc')])
    const request: Request = { method: 'PATCH', path: '/', headers: {}, body: maker.body }
    const served = await rig.serve('exchange', async () => ({ status: 200, headers: {} }))
    const dial = rig.dialAs('attic')
    const tell = (identity: string, url: string) =>
      dial({ identity, url }, request, options(rig)).catch((error) => error)
    t.ok((await tell('exchange', rig.nowhere)) instanceof Unreachable)
    t.ok((await tell('somebody', served.url)) instanceof Unreachable, 'another identity')
    await served.close()
    t.ok((await tell('exchange', served.url)) instanceof Unreachable, 'no longer there')
    t.equal(maker.returned, false)
    t.equal(maker.taken, 0)
  })

  told('an identity is proved each time, also at a known address', async (t, rig) => {
    const { url } = await rig.serve('exchange', async () => ({ status: 200, headers: {} }))
    const dial = rig.dialAs('attic')
    for (let round = 0; round < 2; round++) {
      t.equal((await dial({ identity: 'exchange', url }, get, options(rig))).status, 200)
      await t.rejects(dial({ identity: 'tracker', url }, get, options(rig)), {
        name: 'Unreachable',
      })
    }
  })

  told('aborting ends both sides', async (t, rig) => {
    const gone: string[] = []
    const { url } = await rig.serve('exchange', async (_, { path }, signal) => {
      signal.addEventListener('abort', () => gone.push(path))
      if (path === '/head') await new Promise(() => {})
      return { status: 200, headers: {}, body: stuck() }
    })
    const dial = rig.dialAs('attic')
    await t.rejects(dial({ identity: 'exchange', url }, get, options(rig, AbortSignal.abort())), {
      name: 'Cut',
    })
    for (const path of ['/head', '/body']) {
      const abort = new AbortController()
      const request: Request = { method: 'GET', path, headers: {} }
      const read = async () =>
        text(await dial({ identity: 'exchange', url }, request, options(rig, abort.signal)))
      const rejected = t.rejects(read(), { name: 'Cut', message: 'aborted' })
      await rig.sleep(rig.idleMs / 4)
      abort.abort()
      await rejected
    }
    await rig.sleep(50)
    t.strictSame(gone, ['/head', '/body'])
  })

  told('an answer that nobody reads on ends its maker', async (t, rig) => {
    const gone = opening<string>()
    const maker = tracked(Array.from({ length: 100 }, () => new Uint8Array(MiB)))
    const { url } = await rig.serve('exchange', async (_peer, { path }, signal) => {
      signal.addEventListener('abort', () => gone.pass('gone'))
      return { status: 200, headers: {}, body: path === '/big' ? maker.body : pieces('small') }
    })
    const dial = rig.dialAs('attic')
    const big: Request = { method: 'GET', path: '/big', headers: {} }
    const { body } = await dial({ identity: 'exchange', url }, big, options(rig))
    for await (const _ of body ?? []) break
    t.equal(await gone.open, 'gone')
    await rig.sleep(20)
    t.equal(maker.returned, true)
    t.ok(maker.taken < 60)
    t.equal(await text(await dial({ identity: 'exchange', url }, get, options(rig))), 'small')
  })

  told('a hundred requests at a time are all answered', async (t, rig) => {
    const { url } = await rig.serve('exchange', async (peer, { path, body }) => ({
      status: 200,
      headers: {},
      body: pieces(peer, path, Buffer.concat(await kept(body)).toString()),
    }))
    const dials = ['attic', 'cellar'].map((name) => ({ name, dial: rig.dialAs(name) }))
    const wanted: string[] = []
    // Much at once on a busy machine: silence is not what this is about.
    const patiently = { connectMs: 20_000, idleMs: 20_000 }
    const answers = Array.from({ length: 100 }, async (_, n) => {
      const { name, dial } = dials[n % 2] ?? { name: '', dial: rig.dialAs('') }
      const request: Request =
        n % 4 < 2
          ? { method: 'GET', path: `/${n}`, headers: {} }
          : { method: 'PATCH', path: `/${n}`, headers: {}, body: pieces(`:${n}`) }
      wanted.push(`${name}/${n}${n % 4 < 2 ? '' : `:${n}`}`)
      return text(await dial({ identity: 'exchange', url }, request, patiently))
    })
    t.strictSame(await Promise.all(answers), wanted)
  })

  told('a failure to serve is answered in one line that tells no secret', async (t, rig) => {
    const { url } = await rig.serve('exchange', async () => {
      throw new Error('the password is 1234')
    })
    const dial = rig.dialAs('attic')
    const response = await dial({ identity: 'exchange', url }, get, options(rig))
    t.equal(response.status, 500)
    t.match(await text(response), /^[^\n1]+\n$/)
  })

  told('a redirect is an answer like others', async (t, rig) => {
    const { url } = await rig.serve('exchange', async (_, { path }) => ({
      status: path === '/' ? 302 : 200,
      headers: { location: '/elsewhere' },
    }))
    const response = await rig.dialAs('attic')({ identity: 'exchange', url }, get, options(rig))
    t.equal(response.status, 302)
  })
}

const get: Request = { method: 'GET', path: '/', headers: {} }
