import t, { type Test } from 'tap'
import { type Bench, bench } from '../../src/exchange/bench.ts'
import { limits } from '../../src/limits.ts'
import { unseal } from '../../src/protocol/envelope.ts'
import { simSigner } from '../../src/sim/keys.ts'
import type { Request, Response, Serve } from '../../src/transfer/transfer.ts'
import { kept, text } from '../contract/bodies.ts'
import {
  ask,
  claims,
  lanUrl,
  nameOf,
  pattern,
  patterned,
  patternOffer,
  patternSink,
  type Rig,
  rig,
  spoolRig,
  tokenBy,
} from './rig.ts'

const size = 1000

/** A client's exchange with one file offered and one place for a file. */
async function clientRig() {
  const ground = await rig()
  const shelf = bench()
  const place = patternSink()
  shelf.offer(nameOf('a'), patternOffer(size))
  shelf.land(nameOf('b'), place.sink)
  const serve = ground.exchangeOf('ann', shelf)
  const down = tokenBy('ann', claims(ground))
  const up = tokenBy('ann', claims(ground, { dir: 'up', obj: [[nameOf('b'), size]] }))
  return { ...ground, shelf, place, serve, down, up }
}

async function refused(
  t: Test,
  response: Response | Promise<Response>,
  status: number,
  why: RegExp,
  about = `${why}`,
): Promise<Response> {
  const answer = await response
  const said = await text(answer)
  t.equal(answer.status, status, about)
  t.match(said, /^[^\n]+\n$/, `${about}: one line`)
  t.match(said, why, about)
  return answer
}

const bytesOf = async (response: Response): Promise<Buffer> =>
  Buffer.concat(await kept(response.body))

const same = (t: Test, found: Uint8Array, wanted: Uint8Array, about: string): void => {
  t.equal(Buffer.compare(found, wanted), 0, about)
}

t.test('a range is answered by exactly its bytes', async (t) => {
  const { serve, down } = await clientRig()
  const parts: [range: string, offset: number, length: number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-999', 0, 1000],
    ['bytes=7-', 7, 993],
    ['bytes=999-999', 999, 1],
    ['bytes=500-99999999', 500, 500],
    ['bytes=123-456', 123, 334],
  ]
  for (const [range, offset, length] of parts) {
    const answer = await ask(serve, 'attic', { token: down, headers: { range } })
    t.equal(answer.status, 206, range)
    t.equal(answer.headers['content-range'], `bytes ${offset}-${offset + length - 1}/1000`)
    t.equal(answer.headers['content-length'], `${length}`)
    t.equal(answer.headers.etag, `"${nameOf('a')}"`)
    same(t, await bytesOf(answer), patterned(offset, length), range)
  }
  const whole = await ask(serve, 'attic', { token: down })
  t.equal(whole.status, 200)
  same(t, await bytesOf(whole), patterned(0, size), 'all without a range')
})

t.test('a range beyond the end, several, or none that can be read are refused', async (t) => {
  const { serve, down } = await clientRig()
  const wants = (range: string) => ask(serve, 'attic', { token: down, headers: { range } })
  for (const range of ['bytes=1000-', 'bytes=1000-1001', 'bytes=99999999-']) {
    const answer = await refused(t, wants(range), 416, /beyond the end/, range)
    t.equal(answer.headers['content-range'], 'bytes */1000')
  }
  const wrong = [
    'bytes=0-1,3-4',
    'bytes=-5',
    'bytes=5-4',
    'lines=1-2',
    'bytes=a-b',
    '',
    'bytes=0x1-',
  ]
  for (const range of [
    ...wrong,
    'bytes=99999999999999999-',
    ' bytes=0-1',
    'bytes=0-9007199254740993',
  ])
    await refused(t, wants(range), 400, /one range of bytes only/, range)
})

t.test('If-Range with another validator gets the whole, never a part', async (t) => {
  const { serve, down } = await clientRig()
  const get = (ifRange: string) =>
    ask(serve, 'attic', { token: down, headers: { range: 'bytes=5-9', 'if-range': ifRange } })
  const same206 = await get(`"${nameOf('a')}"`)
  t.equal(same206.status, 206)
  for (const other of [`"${nameOf('x')}"`, `W/"${nameOf('a')}"`, 'Thu, 01 Jan 2026 00:00:00 GMT']) {
    const answer = await get(other)
    t.equal(answer.status, 200, other)
    t.equal(answer.headers['content-range'], undefined)
    same(t, await bytesOf(answer), patterned(0, size), other)
  }
})

t.test('the archive document is there for everybody with a certificate', async (t) => {
  const { serve, sealed } = await clientRig()
  const answer = await ask(serve, 'somebody', { path: '/archive-document' })
  t.equal(answer.status, 200)
  same(t, await bytesOf(answer), sealed, 'as it was signed')
  t.ok(unseal(sealed))
  await refused(
    t,
    ask(serve, 'attic', { path: '/archive-document', method: 'DELETE' }),
    403,
    /place/,
  )
})

/** A JWS with parts of one's own choice. */
function forged(signer: string, header: object | string, body: object | string): string {
  const part = (of: object | string) =>
    Buffer.from(typeof of === 'string' ? of : JSON.stringify(of)).toString('base64url')
  const signed = `${part(header)}.${part(body)}`
  const signature = simSigner(signer).sign(Buffer.from(signed))
  return `${signed}.${Buffer.from(signature).toString('base64url')}`
}

t.test('a token that is not exactly right opens nothing', async (t) => {
  const ground = await clientRig()
  const { serve, time, place } = ground
  const right = claims(ground)
  const { keyId: kid, algorithm: alg } = simSigner('ann')
  const header = { alg, kid, typ: 'JWT' }
  t.equal((await ask(serve, 'attic', { token: forged('ann', header, right) })).status, 200)
  const [head, body, signature] = tokenBy('ann', right).split('.')
  const wrong: [about: string, token: string | undefined, why: RegExp, peer?: string][] = [
    ['none', undefined, /no token/],
    ['two parts', `${head}.${body}`, /not a token/],
    ['four parts', `${head}.${body}.${signature}.x`, /not a token/],
    ['no signature', `${head}.${body}.`, /not a token/],
    ['another signature', `${head}.${body}.${'A'.repeat(43)}`, /wrong signature/],
    ['signed by another', forged('bob', header, right), /wrong signature/],
    ['an unknown key', tokenBy('stranger', right), /unknown key/],
    ['alg of another kind', forged('ann', { ...header, alg: 'ES256' }, right), /wrong signature/],
    ['alg none', `${forged('ann', { ...header, alg: 'none' }, right)}`, /wrong signature/],
    ['alg missing', forged('ann', { kid }, right), /unknown key/],
    ['extensions', forged('ann', { ...header, crit: ['b64'], b64: false }, right), /unknown key/],
    ['a head that is no object', forged('ann', 'null', right), /unknown key/],
    ['a head that is no JSON', forged('ann', '{', right), /unknown key/],
    ['claims that are none', forged('ann', header, '{}'), /wrong claims/],
    ['claims that are no JSON', forged('ann', header, '{'), /wrong claims/],
    ['in the name of another', tokenBy('bob', right), /in the name of another/],
    ['by a pillar', tokenBy('attic', { ...right, iss: 'attic' }), /by a pillar/],
    ['another exchange', tokenBy('ann', { ...right, aud: ['tracker'] }), /another exchange/],
    ['another client', tokenBy('bob', { ...right, iss: 'bob' }), /another client/],
    ['other objects', tokenBy('ann', { ...right, obj: [[nameOf('x'), 1]] }), /other objects/],
    ['no objects', tokenBy('ann', { ...right, obj: [] }), /other objects/],
    ['somebody else', tokenBy('ann', right), /somebody else/, 'constructor'],
    ['ended', tokenBy('ann', { ...right, exp: time.clock.now() / 1000 }), /expired/],
  ]
  for (const [about, token, why, peer = 'attic'] of wrong)
    for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE'] as const) {
      const request = { method, ...(token === undefined ? {} : { token }), body: pattern(0, 10) }
      await refused(t, ask(serve, peer, request), 403, why, about)
    }
  t.equal(place.at, 0)
  for (const authorization of ['', 'Bearer', 'Bearer  x.y.z', 'Basic eA==', `bearer ${head}`])
    await refused(t, ask(serve, 'attic', { headers: { authorization } }), 403, /no token/)
})

t.test('a client serves nobody by the token of another client', async (t) => {
  const ground = await clientRig()
  const token = tokenBy('bob', claims(ground, { iss: 'bob', aud: ['ann'] }))
  const answer = ask(ground.serve, 'attic', { object: 'bob/a', token })
  await refused(t, answer, 403, /token of another client/)
})

t.test('a token ends to the second', async (t) => {
  const ground = await clientRig()
  const token = tokenBy('ann', claims(ground))
  await ground.time.advance(3600_000 - 1)
  t.equal((await ask(ground.serve, 'attic', { token })).status, 200)
  await ground.time.advance(1)
  await refused(t, ask(ground.serve, 'attic', { token }), 403, /expired/)
})

t.test('paths that are no objects lead nowhere', async (t) => {
  const { serve, down: token } = await clientRig()
  const name = nameOf('a')
  const paths = [
    '/',
    '/objects',
    `/objects/ann/${name}/`,
    `/objects/ann/../ann/${name}`,
    `/objects/ann/..%2f${name}`,
    `/objects/ann%00/${name}`,
    `/objects//${name}`,
    `/objects/Ann/${name}`,
    `/objects/ann/${name}a`,
    `/objects/ann/${name.slice(1)}`,
    `/objects/ann/${name}\n`,
    `//objects/ann/${name}`,
    `/objects/ann/${'.'.repeat(22)}`,
    '/archive-document/',
  ]
  for (const path of paths)
    await refused(t, ask(serve, 'attic', { path, token }), 403, /no such place/)
})

t.test('a token is for one direction', async (t) => {
  const { serve, down, up, place } = await clientRig()
  const object = 'ann/b'
  await refused(t, ask(serve, 'attic', { token: up, object }), 403, /for delivering/)
  const upload = { token: down, method: 'PATCH', headers: uploadHead(0, size, size) } as const
  await refused(t, ask(serve, 'attic', { ...upload, body: pattern(0, size) }), 403, /for fetching/)
  t.equal(place.at, 0)
})

t.test('the objects of one client are out of reach for another at the relay', async (t) => {
  const ground = await spoolRig()
  const serve = ground.exchangeOf('tracker', ground.spool)
  const put = (object: string, peer: string, iss: string) => {
    const token = tokenBy(iss, claims(ground, { iss }))
    return ask(serve, peer, { object, token, ...upload(0, size, size) })
  }
  t.equal((await put('ann/a', 'ann', 'ann')).status, 204)
  await refused(t, put('ann/a', 'bob', 'bob'), 403, /object of another client/)
  await refused(t, put('ann/a', 'bob', 'ann'), 403, /somebody else/)
  const token = tokenBy('bob', claims(ground, { iss: 'bob' }))
  await refused(t, ask(serve, 'attic', { object: 'ann/a', token }), 403, /object of another client/)
  t.equal((await put('bob/a', 'bob', 'bob')).status, 204, 'the same name is another object')
  t.equal(ground.spool.objects(), 2)
})

const uploadHead = (offset: number, length: number, whole: number): Record<string, string> => ({
  'upload-offset': `${offset}`,
  'upload-length': `${whole}`,
  'content-length': `${length}`,
  'upload-complete': offset + length === whole ? '?1' : '?0',
})

const upload = (offset: number, length: number, whole: number) => ({
  method: 'PATCH' as const,
  headers: uploadHead(offset, length, whole),
  body: pattern(offset, length),
})

/** The same uploads at a client's bench and at the relay's spool. */
async function uploadRigs(): Promise<
  { name: string; ground: Rig; serve: Serve; up: string; at(): Promise<string>; sender: string }[]
> {
  const client = await clientRig()
  const relay = await spoolRig()
  const inSpool = async (): Promise<string> =>
    JSON.stringify([
      relay.spool.objects(),
      relay.spool.usedBytes(),
      await relay.state.list(''),
      [...relay.disk.snapshot()].map(([path, bytes]) => [path, bytes.length]),
    ])
  const token = (ground: Rig) =>
    tokenBy('ann', claims(ground, { dir: 'up', obj: [[nameOf('b'), size]] }))
  return [
    {
      name: 'bench',
      ground: client,
      serve: client.serve,
      up: client.up,
      at: async () => `${client.place.at} ${client.place.finished}`,
      sender: 'attic',
    },
    {
      name: 'spool',
      ground: relay,
      serve: relay.exchangeOf('tracker', relay.spool),
      up: token(relay),
      at: inSpool,
      sender: 'attic',
    },
  ]
}

t.test('an upload that does not fit is refused and changes nothing', async (t) => {
  for (const { name, ground, serve, up: token, at, sender } of await uploadRigs()) {
    const send = (request: Partial<Request>, changed: Record<string, string> = {}) =>
      ground.time.finish(
        ask(serve, sender, {
          object: 'ann/b',
          token,
          ...request,
          headers: { ...request.headers, ...changed },
        }),
      )
    const head = () =>
      ground.time.finish(ask(serve, sender, { object: 'ann/b', token, method: 'HEAD' }))
    t.equal((await send(upload(0, 400, size))).status, 204)
    const before = await at()
    const part = upload(400, 100, size)
    const no = async (status: number, why: RegExp, changed: Record<string, string>) => {
      await refused(t, send({ ...upload(400, 100, size) }, changed), status, why, `${name} ${why}`)
      t.equal(await at(), before, `${name}: nothing changed by ${JSON.stringify(changed)}`)
      t.equal((await head()).headers['upload-offset'], '400')
    }
    await no(409, /another offset/, { 'upload-offset': '399' })
    await no(409, /another offset/, { 'upload-offset': '401' })
    await no(409, /another offset/, { 'upload-offset': '0' })
    await no(413, /at most 8388608 bytes/, { 'content-length': `${limits.transferPageBytes + 1}` })
    await no(400, /Upload-Complete/, { 'upload-complete': '?1' })
    await no(400, /Upload-Complete/, { 'upload-complete': 'yes' })
    await no(400, /Upload-Complete/, { 'upload-offset': '900', 'upload-complete': '?0' })
    await no(400, /Upload-Complete/, { 'upload-offset': '950' })
    await no(400, /another size than the token/, { 'upload-length': '999' })
    for (const broken of ['', '-1', '1e3', '0x10', ' 400', '99999999999999999', '9007199254740993'])
      await no(400, /are needed/, { 'upload-offset': broken })
    for (const missing of ['upload-offset', 'upload-length', 'content-length']) {
      const { [missing]: _, ...headers } = part.headers
      await refused(t, send({ ...upload(0, 100, size), headers }), 400, /are needed/, missing)
    }
    const { body: _, ...bodiless } = part
    await refused(t, send(bodiless), 400, /are needed/)
    t.equal(await at(), before)

    t.equal((await send(upload(400, 600, size))).status, 204)
    const after = await at()
    const late = await refused(t, send(upload(400, 600, size)), 409, /another offset/)
    t.equal(late.headers['upload-complete'], '?1')
    t.equal(late.headers['upload-offset'], '1000')
    t.equal((await head()).headers['upload-complete'], '?1')
    t.equal(await at(), after)
  }
})

t.test('[XFER-4] a wrong offset takes nothing of the body', async (t) => {
  for (const { ground, serve, up: token } of await uploadRigs()) {
    let taken = 0
    async function* body() {
      taken++
      yield patterned(0, 100)
    }
    const wrong = { ...upload(300, 100, size), body: body() }
    const answer = ask(serve, 'attic', { object: 'ann/b', token, ...wrong })
    await refused(t, ground.time.finish(answer), 409, /another offset/)
    t.equal(taken, 0)
  }
})

t.test('a body that is not as long as announced is as good as a cut one', async (t) => {
  for (const { name, ground, serve, up: token } of await uploadRigs()) {
    const send = (request: Partial<Request>) =>
      ground.time.finish(ask(serve, 'attic', { object: 'ann/b', token, ...request }))
    const offset = async () =>
      Number((await send({ method: 'HEAD' })).headers['upload-offset'] ?? 0)
    const shorter = { ...upload(0, 500, size), body: pattern(0, 300) }
    await refused(t, send(shorter), 400, /ended after 300 of 500/, `${name} shorter`)
    t.equal(await offset(), 300, 'what came is kept')
    const longer = { ...upload(300, 100, size), body: pattern(300, 101, 200) }
    await refused(t, send(longer), 400, /longer than the 100/, `${name} longer`)
    t.equal(await offset(), 300, 'what was not announced is not taken')
    const excess = { ...upload(300, 100, size), body: pattern(300, 700, 50) }
    await refused(t, send(excess), 400, /longer than the 100/, `${name} longer`)
    t.equal(await offset(), 400, 'nothing beyond the announced')
    t.equal((await send(upload(400, 600, size))).status, 204)
  }
})

t.test('an object of no bytes passes', async (t) => {
  const ground = await spoolRig()
  const serve = ground.exchangeOf('tracker', ground.spool)
  const token = tokenBy('ann', claims(ground, { obj: [[nameOf('a'), 0]] }))
  const sent = await ask(serve, 'ann', { token, ...upload(0, 0, 0) })
  t.equal(sent.status, 204)
  t.equal(sent.headers['upload-complete'], '?1')
  const answer = ask(serve, 'attic', { token, headers: { range: 'bytes=0-9' } })
  t.equal((await refused(t, answer, 416, /beyond/)).headers['content-range'], 'bytes */0')
})

t.test('the whole is not answered by a part of it', async (t) => {
  const ground = await spoolRig()
  const serve = ground.exchangeOf('tracker', ground.spool)
  const token = tokenBy('ann', claims(ground))
  await ask(serve, 'ann', { token, ...upload(0, 600, size) })
  await refused(t, ask(serve, 'attic', { token }), 503, /as a whole/)
  t.equal((await ask(serve, 'attic', { token, headers: { range: 'bytes=0-' } })).status, 206)
})

t.test('over a network the same holds, and a refusal costs no transfer', async (t) => {
  const { net, time, serve, up, place } = await clientRig()
  net.serveAs('ann', lanUrl, serve)
  const send = (request: Partial<Request>) =>
    net.dialAs('attic')(
      { identity: 'ann', url: lanUrl },
      {
        method: 'PATCH',
        path: `/objects/ann/${nameOf('b')}`,
        ...request,
        headers: { authorization: `Bearer ${up}`, ...request.headers },
      },
      { connectMs: 1_000, idleMs: 30_000 },
    )
  await time.finish(refused(t, send(upload(10, 100, size)), 409, /another offset/))
  t.equal(net.counters.bytesUp, 0)
  t.equal((await time.finish(send(upload(0, size, size)))).status, 204)
  t.equal(place.finished, 1)
  const head = await time.finish(send({ method: 'HEAD' }))
  t.equal(head.headers['upload-complete'], '?1')
})

t.test('a sender that goes on ends what it had left hanging', async (t) => {
  for (const { name, ground, serve, up: token } of await uploadRigs()) {
    async function* stuck() {
      yield patterned(0, 250)
      await new Promise(() => {})
    }
    const hanging = ask(serve, 'attic', {
      object: 'ann/b',
      token,
      ...upload(0, 600, size),
      body: stuck(),
    })
    await ground.time.advance(10)
    const head = ask(serve, 'attic', { object: 'ann/b', token, method: 'HEAD' })
    t.equal((await ground.time.finish(head)).headers['upload-offset'], '250', name)
    t.equal((await ground.time.finish(hanging)).status, 409)
    const rest = ask(serve, 'attic', { object: 'ann/b', token, ...upload(250, 750, size) })
    t.equal((await ground.time.finish(rest)).status, 204)
  }
})

t.test('an upload of which nothing came reserves nothing', async (t) => {
  const ground = await spoolRig()
  const serve = ground.exchangeOf('tracker', ground.spool)
  const token = tokenBy('ann', claims(ground))
  async function* broken() {
    yield new Uint8Array(0)
    throw new Error('gone')
  }
  const sent = ask(serve, 'ann', { token, ...upload(0, size, size), body: broken() })
  await t.rejects(ground.time.finish(sent), { message: 'gone' })
  t.equal(ground.spool.objects(), 0)
  t.equal(ground.spool.usedBytes(), 0)
  t.strictSame([...ground.disk.snapshot()], [])
})

t.test('a slow sender keeps no receiver from what is here already', async (t) => {
  const ground = await spoolRig()
  const serve = ground.exchangeOf('tracker', ground.spool)
  const token = tokenBy('ann', claims(ground))
  await ask(serve, 'ann', { token, ...upload(0, 600, size) })
  async function* slow() {
    for (let at = 600; at < size; at++) {
      await ground.time.clock.sleep(10_000)
      yield patterned(at, 1)
    }
  }
  const sending = ask(serve, 'ann', { token, ...upload(600, 400, size), body: slow() })
  await ground.time.advance(60_000)
  const answer = await ask(serve, 'attic', { token, headers: { range: 'bytes=0-99' } })
  t.equal(answer.status, 206)
  same(t, await bytesOf(answer), patterned(0, 100), 'at once')
  t.equal((await ground.time.finish(sending)).status, 204)
})

t.test('what a failing place says is told, and the place can be filled anew', async (t) => {
  const { serve, up: token, shelf } = await clientRig()
  const place = patternSink()
  let fault: string | undefined = 'these are not the bytes of the file'
  const finish = async () => {
    if (fault !== undefined) place.at = 0
    return fault
  }
  ;(shelf as Bench).land(nameOf('b'), { ...place.sink, finish })
  const send = () => ask(serve, 'attic', { object: 'ann/b', token, ...upload(0, size, size) })
  await refused(t, send(), 400, /not the bytes/)
  fault = undefined
  t.equal((await send()).status, 204)
})
