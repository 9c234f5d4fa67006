// Requests that nobody of ours makes, at the exchange of a tracker.

import { issueToken, type TokenClaims } from '../../../src/transfer/token.ts'
import type { Signer } from '../../../src/trust/trust.ts'

export interface HttpCase {
  readonly name: string
  /** Which member asks; `nobody` shows no certificate. */
  readonly by: 'client' | 'other' | 'pillar-1' | 'pillar-2' | 'nobody'
  readonly bytes: string | Uint8Array
  /** The status that is answered; 0 when nothing is, and the connection ends. */
  readonly status: number
  /** The one line that says why. */
  readonly says?: RegExp
}

export interface HttpGround {
  readonly signers: Readonly<Record<'client' | 'other' | 'pillar-1' | 'stranger', Signer>>
  /** An object of `client` for `pillar-2`, 100 bytes, whole in the spool. */
  readonly object: string
  readonly claims: TokenClaims
  /** The archive document as it is now. */
  readonly document: Uint8Array
}

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token of any head and body, signed rightly. */
export function forged(signer: Signer, head: unknown, body: unknown): string {
  const signed = `${part(head)}.${part(body)}`
  return `${signed}.${Buffer.from(signer.sign(Buffer.from(signed))).toString('base64url')}`
}

export const request = (
  method: string,
  path: string,
  headers: Readonly<Record<string, string | number>> = {},
  body = '',
): string => {
  const all = { host: 'tracker', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

export function tokens({ signers, object, claims }: HttpGround): HttpCase[] {
  const { client, other, stranger } = signers
  const path = `/objects/client/${object}`
  const good = issueToken(client, claims)
  const [head = '', body = '', signature = ''] = good.split('.')
  const kid = client.keyId
  const line = (
    name: string,
    token: string,
    says: RegExp,
    more: Partial<HttpCase> & { method?: string; path?: string } = {},
  ): HttpCase => ({
    name: `token: ${name}`,
    by: more.by ?? 'pillar-2',
    bytes: request(more.method ?? 'GET', more.path ?? path, bearer(token)),
    status: 403,
    says,
  })
  const flipped = Buffer.from(signature, 'base64url')
  flipped[5] = (flipped[5] ?? 0) ^ 1
  const header = { alg: 'ES256', kid, typ: 'JWT' }
  const heads: [string, unknown][] = [
    ['no algorithm', { kid }],
    ['no key', { alg: 'ES256' }],
    ['extensions that must be understood', { ...header, crit: ['exp'] }],
    ['a key that is a number', { alg: 'ES256', kid: 5 }],
    ['a head that is a list', [header]],
    ['a head that is null', 'null'],
    ['a head that is no JSON', '{"alg"'],
    ['a head in bad UTF-8', '\xff\xfe'],
    ['a head of deep JSON', '['.repeat(6_000)],
    ['a key named like a method', { alg: 'ES256', kid: 'constructor' }],
    ['an unknown key', { ...header, kid: stranger.keyId }],
  ]
  const wrongClaims: [string, unknown][] = [
    ...Object.keys(claims).map((key): [string, unknown] => [
      `claims without ${key}`,
      { ...claims, [key]: undefined },
    ]),
    ['an issuer that is a number', { ...claims, iss: 1 }],
    ['an audience that is a text', { ...claims, aud: 'tracker' }],
    ['holders that are a text', { ...claims, hld: 'pillar-2' }],
    ['holders with a path', { ...claims, hld: ['../pillar-2'] }],
    ['another direction', { ...claims, dir: 'both' }],
    ['objects that are a number', { ...claims, obj: 1 }],
    ['an object with a path for a name', { ...claims, obj: [['../../../etc/passwd0000', 1]] }],
    ['a short object name', { ...claims, obj: [['a', 1]] }],
    ['a negative size', { ...claims, obj: [[object, -2]] }],
    ['half a byte', { ...claims, obj: [[object, 0.5]] }],
    ['a size beyond 2^53', { ...claims, obj: [[object, 2 ** 53]] }],
    ['an expiry that is a text', { ...claims, exp: `${claims.exp}` }],
    ['an expiry of half a second', { ...claims, exp: claims.exp + 0.5 }],
    ['an expiry beyond all numbers', JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999')],
    ['claims that are a list', [claims]],
    ['claims that are null', 'null'],
    ['claims that are no JSON', '{"iss"'],
    ['claims of deep JSON', '[{"a":'.repeat(2_000)],
    ['claims by their prototype', `{"__proto__":${JSON.stringify(claims)}}`],
  ]
  return [
    {
      name: 'token: none',
      by: 'pillar-2',
      bytes: request('GET', path),
      status: 403,
      says: /no token/,
    },
    ...[
      'Basic Y2xpZW50OmE=',
      'Bearer',
      `Bearer  ${good}`,
      `bearer ${good}`,
      `Bearer ${good} ${good}`,
    ].map(
      (authorization, n): HttpCase => ({
        name: `token: authorization of another form, ${n}`,
        by: 'pillar-2',
        bytes: request('GET', path, { authorization }),
        status: 403,
        says: /no token/,
      }),
    ),
    line('garbage', 'abc', /not a token/),
    line('two parts', `${head}.${body}`, /not a token/),
    line('four parts', `${good}.${signature}`, /not a token/),
    line('an empty signature', `${head}.${body}.`, /not a token/),
    line('a signature of zeros', `${head}.${body}.${part('\0'.repeat(64))}`, /wrong signature/),
    line(
      'a flipped signature',
      `${head}.${body}.${flipped.toString('base64url')}`,
      /wrong signature/,
    ),
    line('half a signature', `${head}.${body}.${signature.slice(0, 43)}`, /wrong signature/),
    line(
      'altered claims',
      `${head}.${part({ ...claims, dir: 'up' })}.${signature}`,
      /wrong signature/,
    ),
    line('signed by another client', forged(other, header, claims), /wrong signature/),
    ...['none', 'HS256', 'RS256', 'ES384', ''].map((alg) =>
      line(`algorithm "${alg}"`, forged(client, { ...header, alg }, claims), /wrong signature/),
    ),
    ...heads.map(([name, one]) => line(name, forged(client, one, claims), /unknown key/)),
    ...wrongClaims.map(([name, one]) => line(name, forged(client, header, one), /wrong claims/)),
    line('by a pillar', issueToken(signers['pillar-1'], claims), /by a pillar/),
    line('by a stranger', issueToken(stranger, claims), /unknown key/),
    line('in the name of another', issueToken(other, claims), /in the name of another/),
    line(
      'for another exchange',
      issueToken(client, { ...claims, aud: ['client'] }),
      /another exchange/,
    ),
    line('for no exchange', issueToken(client, { ...claims, aud: [] }), /another exchange/),
    line(
      'for other objects',
      issueToken(client, { ...claims, obj: [['b'.repeat(22), 100]] }),
      /other objects/,
    ),
    line('for no object', issueToken(client, { ...claims, obj: [] }), /other objects/),
    line('for an object of another client', good, /object of another client/, {
      path: `/objects/other/${object}`,
    }),
    ...[1, 3_600, 10 ** 9].map((ago) =>
      line(
        `expired ${ago} s ago`,
        issueToken(client, { ...claims, exp: Math.floor(Date.now() / 1000) - ago }),
        /an expired token/,
      ),
    ),
    line('an expiry before 1970', issueToken(client, { ...claims, exp: -1 }), /an expired token/),
    line('of another pillar', good, /somebody else/, { by: 'pillar-1' }),
    line('of a pillar, by another client', good, /somebody else/, { by: 'other' }),
    line('to fetch, by who delivers', good, /for delivering/, { by: 'client' }),
    line('to deliver, by who fetches', good, /for fetching/, { method: 'PATCH' }),
    line(
      'to deliver, used to fetch',
      issueToken(client, { ...claims, dir: 'up' }),
      /for delivering/,
    ),
    line(
      'to deliver, used by its issuer',
      issueToken(client, { ...claims, dir: 'up' }),
      /for fetching/,
      {
        by: 'client',
        method: 'PATCH',
      },
    ),
  ]
}

export function ranges({ signers, object, claims }: HttpGround): HttpCase[] {
  const token = issueToken(signers.client, claims)
  const line = (range: string, status: number, says: RegExp): HttpCase => ({
    name: `range: "${range.slice(0, 40)}"`,
    by: 'pillar-2',
    bytes: request('GET', `/objects/client/${object}`, { ...bearer(token), range }),
    status,
    says,
  })
  const wrong = [
    ...['bytes=-5', 'bytes=5-2', 'bytes=0-1,5-6', 'bytes=0-50,25-75', 'bytes=0-,0-,0-', 'bytes=-'],
    ...[
      'bytes=',
      'bytes=a-b',
      'bytes=1e1-',
      'bytes=0x1-',
      'bytes=0--5',
      'bytes=+1-5',
      'bytes = 0-5',
    ],
    ...['items=0-5', 'bytes=0.5-1', 'bytes=9007199254740993-', 'bytes=0-99999999999999999'],
    ...[
      'bytes=99999999999999999999-',
      `bytes=${'0-0,'.repeat(2_000)}5-6`,
      'bytes=\xb2-\xb3',
      'none',
    ],
    ...['bytes=0-5;', 'bytes=0-5 bytes=6-7'],
  ]
  return [
    ...wrong.map((range) => line(range, 400, /one range of bytes only/)),
    ...['bytes=100-', 'bytes=100-200', 'bytes=9007199254740991-'].map((range) =>
      line(range, 416, /beyond the end/),
    ),
  ]
}

export function uploads({ signers, object, claims }: HttpGround): HttpCase[] {
  const fresh = 'f'.repeat(22)
  const token = issueToken(signers.client, {
    ...claims,
    obj: [
      [fresh, 100],
      [object, 100],
    ],
  })
  const right = {
    'upload-offset': 0,
    'upload-length': 100,
    'upload-complete': '?1',
    'content-length': 100,
  }
  const line = (
    name: string,
    changed: Readonly<Record<string, string | number | undefined>>,
    says: RegExp,
    more: { status?: number; object?: string } = {},
  ): HttpCase => {
    const headers = Object.entries({
      ...bearer(token),
      ...right,
      expect: '100-continue',
      ...changed,
    })
    return {
      name: `upload: ${name}`,
      by: 'client',
      bytes: request(
        'PATCH',
        `/objects/client/${more.object ?? fresh}`,
        Object.fromEntries(headers.filter(([, value]) => value !== undefined)) as Record<
          string,
          string
        >,
      ),
      status: more.status ?? 400,
      says,
    }
  }
  const needed = /are needed/
  const disagrees = /does not agree/
  return [
    line('no offset', { 'upload-offset': undefined }, needed),
    line('no size', { 'upload-length': undefined }, needed),
    ...[
      '-1',
      'x',
      '1e1',
      '0x10',
      '99999999999999999999',
      '9007199254740993',
      '0.5',
      '+0',
      '',
      '0,0',
    ].map((one) => line(`offset "${one}"`, { 'upload-offset': one }, needed)),
    ...['-1', '', 'all', '99999999999999999999', '1e2'].map((one) =>
      line(`size "${one}"`, { 'upload-length': one }, needed),
    ),
    ...[99, 101, 0, 9_007_199_254_740_991].map((size) =>
      line(
        `size ${size}, not the token's`,
        { 'upload-length': size },
        /another size than the token says/,
      ),
    ),
    line(
      'in pieces of unknown length',
      { 'content-length': undefined, 'transfer-encoding': 'chunked' },
      needed,
    ),
    line(
      'more at once than a page',
      { 'content-length': 9 * 1024 * 1024 },
      /at most 8388608 bytes/,
      { status: 413 },
    ),
    line('more than all numbers at once', { 'content-length': 9_007_199_254_740_991 }, /at most/, {
      status: 413,
    }),
    line('an offset beyond the end', { 'upload-offset': 1 }, disagrees),
    line('complete, and is not', { 'content-length': 50 }, disagrees),
    line('not complete, and is', { 'upload-complete': '?0' }, disagrees),
    ...['1', 'true', '?2', ''].map((one) =>
      line(`complete "${one}"`, { 'upload-complete': one }, disagrees),
    ),
    line('a hole before it', { 'upload-offset': 50, 'content-length': 50 }, /another offset/, {
      status: 409,
    }),
    line('once more what is complete', {}, /another offset/, { status: 409, object }),
    line(
      'once more the end of it',
      { 'upload-offset': 50, 'content-length': 50 },
      /another offset/,
      {
        status: 409,
        object,
      },
    ),
  ]
}

export function paths({ signers, object, claims }: HttpGround): HttpCase[] {
  const token = issueToken(signers.client, claims)
  const line = (path: string, status: number, says?: RegExp): HttpCase => ({
    name: `path: ${JSON.stringify(path.slice(0, 50))}`,
    by: 'pillar-2',
    bytes: Buffer.from(request('GET', path, bearer(token)), 'latin1'),
    status,
    ...(says ? { says } : {}),
  })
  const nowhere = [
    ...['/', '//', '/objects', '/objects/', '/objects/client', '/objects/client/', '/etc/passwd'],
    ...[
      '/objects/client/..',
      '/objects/../archive-document',
      '/../../../../etc/passwd',
      '/./archive-document',
    ],
    ...[
      '/objects/client/%2e%2e',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/objects/client/%252e%252e%252f',
      '/%00',
    ],
    ...[
      `/objects/client/${object}%00`,
      `/objects/client/${object}/`,
      `/objects/client/${object}/..`,
    ],
    ...[
      `/objects/CLIENT/${object}`,
      `/Objects/client/${object}`,
      `/objects//${object}`,
      '/objects/-/x',
    ],
    ...[
      `/objects/client\\${object}`,
      `/objects/client/${object};a`,
      '/archive-document/',
      '/ARCHIVE-DOCUMENT',
    ],
    ...[
      `/objects/client/${object.slice(1)}`,
      `/objects/client/${object}${object}`,
      '/%f0%9f%92%a3',
      '/enrolment',
    ],
    ...[
      '/enrolment/authority',
      `/${'a'.repeat(10_000)}`,
      '/objects/__proto__/constructor',
      '/objects/*/*',
    ],
  ]
  return [
    ...nowhere.map((path) => line(path, 403, /no such place/)),
    ...[
      '/archive-document?version=0',
      '/archive-document#x',
      '*',
      'http://tracker/archive-document',
    ].map((path) => line(path, 400, /a path without a query/)),
    line('archive-document', 400),
    line('', 400),
    line('/a b', 400),
    line('/\0', 400),
    line('/\x7f', 400),
    line('/\r\nx: y', 505),
  ]
}

export function heads(_: HttpGround): HttpCase[] {
  const get = 'GET /archive-document HTTP/1.1\r\n'
  const line = (
    name: string,
    bytes: string | Uint8Array,
    status: number,
    says?: RegExp,
  ): HttpCase => ({
    ...{ name: `head: ${name}`, by: 'other', status },
    bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes,
    ...(says ? { says } : {}),
  })
  const many = (count: number): string =>
    Array.from({ length: count }, (_, n) => `x-${n}: y\r\n`).join('')
  const patch = (more: string): string => `PATCH /archive-document HTTP/1.1\r\nhost: x\r\n${more}`
  return [
    ...['POST', 'PUT', 'OPTIONS', 'TRACE', 'PROPFIND', 'MKCOL', 'SEARCH', 'UNLOCK'].map((method) =>
      line(method, request(method, '/archive-document'), 405, /GET, HEAD, PATCH and DELETE/),
    ),
    ...['get', 'FETCH', 'GE\0T', '', '\xff'].map((method) =>
      line(`method ${JSON.stringify(method)}`, request(method, '/archive-document'), 400),
    ),
    line(
      'CONNECT, as to a proxy',
      'CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n',
      0,
    ),
    line('no host', `${get}\r\n`, 400),
    line('HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400),
    line('HTTP/9.9', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n', 400),
    line('HTTP/0.9', 'GET /\r\n\r\n', 505),
    line('HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 505, /HTTP.1.1 is spoken here/),
    line('a field without a colon', `${get}host: x\r\nfield\r\n\r\n`, 400),
    line('a space before the colon', `${get}host : x\r\n\r\n`, 400),
    line('a folded field', `${get}host: x\r\nx: y\r\n z\r\n\r\n`, 400),
    line('a NUL in a field', `${get}host: x\r\nx: a\0b\r\n\r\n`, 400),
    line('a carriage return in a field', `${get}host: x\r\nx: a\rb\r\n\r\n`, 400),
    line('line feeds alone', 'GET / HTTP/1.1\nhost: x\n\n', 400),
    line('random bytes', Buffer.from('8f3b00ff17a2c5de90', 'hex'), 400),
    line('TLS in TLS', Buffer.from('160301007a010000760303', 'hex'), 400),
    line('words of MQTT', Buffer.from('101000044d51545404020000000474657374', 'hex'), 400),
    line('a field of 40 KB', `${get}host: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431),
    line('a name of 40 KB', `${get}host: x\r\n${'y'.repeat(40_000)}: x\r\n\r\n`, 431),
    line('a path of 40 KB', `GET /${'y'.repeat(40_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431),
    line('64 fields too many', `${get}host: x\r\n${many(128)}\r\n`, 431, /at most 64 fields/),
    line('2 500 fields', `${get}host: x\r\n${many(2_500)}\r\n`, 431),
    line('two lengths', patch('content-length: 5\r\ncontent-length: 6\r\n\r\nabcde'), 400),
    line(
      'a length and pieces',
      patch('content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
      400,
    ),
    line(
      'pieces and a length',
      patch('transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n'),
      400,
    ),
    line('a negative length', patch('content-length: -1\r\n\r\n'), 400),
    line('a length in words', patch('content-length: five\r\n\r\n'), 400),
    line('a length beyond all numbers', patch(`content-length: ${'9'.repeat(40)}\r\n\r\n`), 400),
    line(
      'pieces that are not the last coding',
      patch('transfer-encoding: chunked, gzip\r\n\r\n'),
      400,
    ),
    line('pieces twice', patch('transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n'), 400),
    line(
      'a vertical tab before pieces',
      patch('transfer-encoding: \vchunked\r\n\r\n0\r\n\r\n'),
      400,
    ),
    line(
      "a second request in the first one's body",
      patch(`content-length: 0\r\n\r\n\0${get}`),
      400,
    ),
    line('another expectation', `${get}host: x\r\nexpect: a-pony\r\n\r\n`, 417),
  ]
}

export function documents({ signers, document }: HttpGround): HttpCase[] {
  const line = (
    name: string,
    body: Uint8Array | string,
    status: number,
    says: RegExp,
    headers: Record<string, string | number> = { 'content-length': Buffer.byteLength(body) },
  ): HttpCase => ({
    name: `archive document: ${name}`,
    by: 'other',
    bytes: Buffer.concat([
      Buffer.from(request('PATCH', '/archive-document', headers)),
      Buffer.from(body),
    ]),
    status,
    says,
  })
  const text = Buffer.from(document).toString()
  const [json = '', trailer = ''] = text.split('\n')
  const version = JSON.parse(json).version
  const newer = json.replace(`"version":${version}`, `"version":${version + 1}`)
  const signedBy = (one: string, signer: Signer): string =>
    `${one}\n${signer.algorithm} ${signer.keyId} ${Buffer.from(signer.sign(Buffer.from(one))).toString('base64url')}`
  const not = /not by the owner, or not newer/
  return [
    line('the one that is known', document, 409, not),
    line('a newer one with the old signature', `${newer}\n${trailer}`, 409, not),
    line('a newer one by a client', signedBy(newer, signers.client), 409, not),
    line('a newer one by a stranger', signedBy(newer, signers.stranger), 409, not),
    line(
      'a newer one that names the owner',
      signedBy(newer, signers.client).replace(signers.client.keyId, trailer.split(' ')[1] ?? ''),
      409,
      not,
    ),
    line('no signature', newer, 409, not),
    line('garbage', Buffer.from('\xff\xfe\0\x01\n\n', 'latin1'), 409, not),
    line('nothing', '', 409, not),
    line('deep JSON', signedBy('['.repeat(50_000), signers.client), 409, not),
    line('bad UTF-8', Buffer.from(`{"version":\xff}\n${trailer}`, 'latin1'), 409, not),
    line('longer than any', '', 413, /too long/, {
      'content-length': 5 * 1024 * 1024,
      expect: '100-continue',
    }),
    line('of no length', '', 400, /Content-Length is needed/, {
      'transfer-encoding': 'chunked',
      expect: '100-continue',
    }),
  ]
}

export function strangers(_: HttpGround): HttpCase[] {
  const line = (name: string, bytes: string, status: number, says: RegExp): HttpCase => ({
    ...{ name: `stranger: ${name}`, by: 'nobody', bytes, status, says },
  })
  const patch = (body: string): string =>
    request('PATCH', '/enrolment', { 'content-length': Buffer.byteLength(body) }, body)
  const closed = /only members of the archive are let in/
  return [
    line('the archive document', request('GET', '/archive-document'), 403, closed),
    line('an object', request('GET', `/objects/client/${'a'.repeat(22)}`), 403, closed),
    line('delete', request('DELETE', '/enrolment'), 403, closed),
    line('a longer path', request('GET', '/enrolment/authority/..'), 403, closed),
    ...[
      '',
      '{}',
      'null',
      '[]',
      '{"role":"tracker"}',
      '['.repeat(4_000),
      '\xff',
      'x'.repeat(5_000),
    ].map((body) =>
      line(
        `enrolment by ${JSON.stringify(body.slice(0, 20))}`,
        patch(body),
        400,
        /no request to enrol/,
      ),
    ),
    line(
      'enrolment for a key one does not have',
      patch(
        JSON.stringify({
          role: 'pillar',
          secret: '0'.repeat(20),
          publicKey: 'AAAA',
          proof: 'ES256 AAAA',
        }),
      ),
      400,
      /does not have the key/,
    ),
  ]
}

export const httpCases = (ground: HttpGround): HttpCase[] =>
  [tokens, ranges, uploads, paths, heads, documents, strangers].flatMap((family) => family(ground))
