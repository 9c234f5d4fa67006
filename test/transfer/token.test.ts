import { createHmac } from 'node:crypto'
import t from 'tap'
import { openState } from '../../src/state/sqlite.ts'
import { checkToken, claimsOf, issueToken, type TokenClaims } from '../../src/transfer/token.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'
import { makeKeyPair, nodeKeys, nodeSigner } from '../../src/trust/keys.ts'

const now = 1_767_225_600_000
const claims: TokenClaims = {
  iss: 'ann',
  aud: ['ann'],
  hld: ['attic'],
  dir: 'down',
  obj: [['a'.repeat(22), 5]],
  exp: now / 1000 + 60,
}

/** Real keys: ECDSA as it is used in the field. */
async function archive() {
  const pairs = { owner: makeKeyPair(), ann: makeKeyPair() }
  const owner = nodeSigner(pairs.owner.privateKey)
  const ann = nodeSigner(pairs.ann.privateKey)
  const document = {
    archive: 'test',
    version: 1,
    issuedAt: '2026-01-01T00:00:00.000Z',
    identities: [{ name: 'ann', role: 'client' as const, publicKey: ann.publicKey }],
    collections: [],
    exchanges: [],
  }
  const keys = nodeKeys()
  const parts = { keys, owner: owner.publicKey, archive: 'test', state: openState(':memory:') }
  const directory = await openDirectory(parts, sealDocument(document, owner))
  /** The owner signs another document, with these members. */
  const renew = (identities: typeof document.identities): Promise<boolean> =>
    directory.accept(sealDocument({ ...document, version: 2, identities }, owner))
  return { ann, keys, directory, renew }
}

const part = (of: object): string => Buffer.from(JSON.stringify(of)).toString('base64url')

t.test('[XFER-1] [XFER-2] a token is a compact JWS that its issuer signed', async (t) => {
  const { ann, keys, directory } = await archive()
  const token = issueToken(ann, claims)
  t.match(token, /^[\w-]+\.[\w-]+\.[\w-]{86}$/)
  t.strictSame(checkToken(token, directory, keys, now), { claims })
  t.strictSame(claimsOf(token), claims)
  t.strictSame(checkToken(token, directory, keys, claims.exp * 1000 - 1), { claims })
  t.match(checkToken(token, directory, keys, claims.exp * 1000), { refused: /expired/ })
})

t.test('a token is verified once, and again by a newer document', async (t) => {
  const { ann, keys, directory, renew } = await archive()
  const token = issueToken(ann, claims)
  let verified = 0
  const counting: typeof keys = {
    ...keys,
    verify: (...args) => {
      verified++
      return keys.verify(...args)
    },
  }
  const check = (text = token, at = now) => checkToken(text, directory, counting, at)
  for (let n = 0; n < 3; n++) t.strictSame(check(), { claims })
  t.equal(verified, 1)
  t.match(check(token, claims.exp * 1000), { refused: /expired/ }, 'it still ends')
  const [head, body, signature = ''] = token.split('.')
  const other = `${head}.${body}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`
  t.match(check(other), { refused: /wrong signature/ }, 'the same words are not the same token')
  for (let n = 0; n < 100; n++) check(issueToken(ann, { ...claims, exp: claims.exp + n + 1 }))
  t.strictSame(check(), { claims }, 'whoever was forgotten is verified again')
  t.equal(await renew([]), true)
  t.match(check(), { refused: /unknown key/ }, 'who is no member any more is not believed')
})

t.test(
  'no other algorithm passes, least of all one with the public key as its secret',
  async (t) => {
    const { ann, keys, directory } = await archive()
    const [head = '', body = '', signature = ''] = issueToken(ann, claims).split('.')
    const check = (token: string) => checkToken(token, directory, keys, now)
    for (const alg of ['none', 'None', 'HS256', 'ES384', 'RS256', 'es256', '']) {
      const forged = `${part({ alg, kid: ann.keyId })}.${body}`
      t.match(check(`${forged}.${signature}`), { refused: /wrong signature/ }, alg)
      const mac = createHmac('sha256', ann.publicKey).update(forged).digest('base64url')
      t.match(check(`${forged}.${mac}`), { refused: /wrong signature/ }, alg)
      t.match(check(`${forged}.`), { refused: /not a token/ }, alg)
    }
    const der = createHmac('sha256', Buffer.from(ann.publicKey, 'base64')).update(`${head}.${body}`)
    t.match(check(`${head}.${body}.${der.digest('base64url')}`), { refused: /wrong signature/ })
  },
)

t.test('no bit of it may be another', async (t) => {
  const { ann, keys, directory } = await archive()
  const token = issueToken(ann, claims)
  const refused = (changed: string) => 'refused' in checkToken(changed, directory, keys, now)
  // The last character of a part holds bits that base64url leaves unused (RFC 4648 §3.5).
  const loose = new Set([token.length - 1, token.lastIndexOf('.') - 1, token.indexOf('.') - 1])
  for (let at = 0; at < token.length; at++) {
    if (loose.has(at)) continue
    const other = token[at] === 'A' ? 'B' : 'A'
    if (!refused(token.slice(0, at) + other + token.slice(at + 1))) t.fail(`character ${at}`)
  }
  t.ok(refused(token.slice(0, -2)))
  t.ok(refused(`${token}AA`))
  for (const text of ['', '.', '..', '...', 'a.b.c', `${token}.`, `.${token}`])
    t.ok(refused(text), text)
})

t.test('claims that mean nothing are none', async (t) => {
  const { ann, keys, directory } = await archive()
  const wrong: object[] = [
    { ...claims, dir: 'both' },
    { ...claims, exp: 1.5 },
    { ...claims, exp: '9999999999' },
    { ...claims, hld: 'attic' },
    { ...claims, obj: [['short', 5]] },
    { ...claims, obj: [['a'.repeat(22), -2]] },
    { ...claims, obj: [['a'.repeat(22)]] },
    { ...claims, iss: 'Ann' },
  ]
  for (const one of wrong) {
    const token = issueToken(ann, one as TokenClaims)
    t.match(
      checkToken(token, directory, keys, now),
      { refused: /wrong claims/ },
      JSON.stringify(one),
    )
    t.equal(claimsOf(token), undefined)
  }
  for (const text of ['', 'x', '.', 'a.b']) t.equal(claimsOf(text), undefined)
})
