// Custody receipts: asked of pillars and of the tracker, and checked with nothing but the authority's certificate.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { output } from '../../src/cli/output.ts'
import { verifyReceipts } from '../../src/cli/receipt.ts'
import { putBatch } from '../../src/client/put.ts'
import { receiptsOf } from '../../src/client/receipts.ts'
import {
  openReceipt,
  type Receipt,
  type ReceiptFile,
  sealReceipt,
} from '../../src/protocol/custody.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { nodeSigner } from '../../src/trust/keys.ts'
import { makePki } from '../support/pki.ts'

const { signal } = new AbortController()

t.test('[RCP-1] a pillar signs what it keeps, and of what it has not nothing', async (t) => {
  const fleet = await startFleet({
    ...{ seed: 'receipts', pillars: 2, copiesMin: 1, checksumPillars: 1 },
    fragments: { bytes: 65_536, copies: 1 },
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(60_000)
  const items = Array.from({ length: 100 }, (_, n) =>
    // What is a text in a text needs four bytes for each of these.
    memoryItem(fleet.random, fleet, `${'"'.repeat(250)}/${'"'.repeat(250)}/${n}`, 10 + n),
  )
  for (let at = 0; at < items.length; at += 20)
    await fleet.time.finish(putBatch(client, 'home', items.slice(at, at + 20), { signal }))
  const ids = items.map(({ id }) => id)
  const open = (pillar: string, sealed: string): Receipt => {
    const { publicKey } = simSigner(pillar)
    const check = (algorithm: string, bytes: Uint8Array, signature: Uint8Array): boolean =>
      simKeys().verify(algorithm, publicKey, bytes, signature)
    const found = openReceipt(sealed, check)
    if (!found) throw new Error('not signed by it')
    return found
  }
  const { receipts, why } = await fleet.time.finish(
    receiptsOf(client, 'home', 'pillar-1', ['nothing', ...ids], signal),
  )
  t.equal(why, undefined)
  t.ok(receipts.length > 1, 'no message holds them all')
  const all = receipts.flatMap((one) => open('pillar-1', one).files)
  t.same(
    all.map(({ id, size, checksum }) => ({ id, size, checksum })),
    items.map(({ id, size, checksum }) => ({ id, size, checksum })),
  )
  t.match(open('pillar-1', receipts[0] ?? ''), {
    archive: 'test',
    from: 'pillar-1',
    collection: 'home',
  })
  const { entries } = { entries: await fleet.boards[0]?.index.audit(0, 1_000) }
  for (const { id, entry } of all)
    t.equal(
      entries?.find((one) => one.sequence === entry?.sequence && one.id === id)?.hash,
      entry?.hash,
    )
  const witness = await fleet.time.finish(
    receiptsOf(client, 'home', 'pillar-2', [ids[0] ?? ''], signal),
  )
  t.match(open('pillar-2', witness.receipts[0] ?? ''), { kind: 'checksum' })
  await fleet.time.finish(putBatch(client, 'pieces', items.slice(0, 1), { signal }))
  const vault = await fleet.time.finish(
    receiptsOf(client, 'pieces', 'tracker', [ids[0] ?? ''], signal),
  )
  t.match(open('tracker', vault.receipts[0] ?? ''), { vault: true, files: [{ id: ids[0] }] })
  const none = await fleet.time.finish(receiptsOf(client, 'home', 'pillar-1', ['nothing'], signal))
  t.same(none.receipts, [])
})

const receipt: Receipt = {
  ...{ type: 'FilesKept', archive: 'home', from: 'attic', site: 'cellar', collection: 'photos' },
  at: '2026-11-23T08:00:00.000Z',
  files: [
    {
      ...{ id: 'a.jpg', size: 12, checksum: 'ab'.repeat(32), mtime: '2020-01-01T00:00:00.000Z' },
      ...{ storedAt: '2026-11-22T00:00:00.000Z', provenAt: '2026-11-22T00:00:00.000Z' },
      entry: { sequence: 7, hash: 'cd'.repeat(32), at: '2026-11-22T00:00:00.000Z' },
    },
  ],
}

async function written(t: Test, by = 'attic') {
  const pki = await makePki()
  const { ca, cert, key } = await pki.credentialsOf(by)
  const path = join(t.testdir({}), 'receipts')
  const file: ReceiptFile = {
    ...{ colonnadeReceipts: 1, archive: 'home', madeAt: receipt.at, authority: ca },
    receipts: [{ certificate: cert, receipt: sealReceipt(receipt, nodeSigner(key)) }],
  }
  const lines: string[] = []
  const out = {
    ...output({ quiet: true }),
    line: (text: string) => void lines.push(text),
    tell: (text: string) => void lines.push(text),
  }
  return {
    ...{ pki, ca, key, file, lines },
    check(changed: unknown = file, authority = ca) {
      writeFileSync(path, typeof changed === 'string' ? changed : JSON.stringify(changed))
      lines.length = 0
      return verifyReceipts(out, path, authority)
    },
  }
}

t.test(
  '[RCP-2] it is checked by the certificate of the authority alone: a line for each',
  async (t) => {
    const on = await written(t)
    t.equal(on.check(), 0)
    t.equal(on.lines.length, 2)
    t.match(
      on.lines[0],
      /^attic \(cellar\) keeps photos\/a.jpg: 12 B, sha256 (ab){32}, stored 2026-11-22.*, entry 7 of its trail (cd){8}$/,
    )
    t.equal(on.lines[1], 'genuine: signed by attic of the archive home')
  },
)

t.test('[RCP-2] whatever is altered, it is refused', async (t) => {
  const on = await written(t)
  const [one] = on.file.receipts
  if (!one) throw new Error('no receipt')
  const altered = (from: string, to: string) => ({
    ...on.file,
    receipts: [{ ...one, receipt: one.receipt.replace(from, to) }],
  })
  const changes: [string, string][] = [
    ['"archive":"home"', '"archive":"away"'],
    ['"from":"attic"', '"from":"other"'],
    ['"site":"cellar"', '"site":"friend"'],
    ['"collection":"photos"', '"collection":"movies"'],
    ['"at":"2026-11-23', '"at":"2025-11-23'],
    ['a.jpg', 'b.jpg'],
    ['"size":12', '"size":13'],
    ['abab', 'abac'],
    ['2020-01-01', '2021-01-01'],
    ['"storedAt":"2026', '"storedAt":"2025'],
    ['"provenAt":"2026', '"provenAt":"2027'],
    ['"sequence":7', '"sequence":8'],
    ['cdcd', 'cdce'],
    ['"hash"', '"h"'],
    ['"files"', '"vault":true,"files"'],
    ['ES256', 'ES257'],
  ]
  for (const [from, to] of changes) {
    t.not(altered(from, to).receipts[0]?.receipt, one.receipt, from)
    t.throws(() => on.check(altered(from, to)), /is not genuine|is no file of receipts/, from)
    t.same(on.lines, [], 'nothing is said of it')
  }
  t.throws(() => on.check({ ...on.file, archive: 'away' }), /it is of the archive home/)
  t.throws(() => on.check({ ...on.file, receipts: [] }), /has no receipt in it/)
  t.throws(() => on.check('{}'), /is no file of receipts/)
  const other = await (await makePki()).credentialsOf('attic')
  t.throws(() => on.check(on.file, other.ca), /its certificate is not by this authority/)
  const theirs = {
    ...on.file,
    authority: other.ca,
    receipts: [{ ...one, certificate: other.cert }],
  }
  t.throws(
    () => on.check(theirs),
    /its certificate is not by this authority/,
    'what it brings is not believed',
  )
  const friend = await on.pki.credentialsOf('friend')
  const lent = { certificate: friend.cert, receipt: sealReceipt(receipt, nodeSigner(friend.key)) }
  t.throws(() => on.check({ ...on.file, receipts: [lent] }), /it is by attic, and signed by friend/)
  const late = sealReceipt({ ...receipt, at: '2090-01-01T00:00:00.000Z' }, nodeSigner(on.key))
  t.throws(
    () => on.check({ ...on.file, receipts: [{ ...one, receipt: late }] }),
    /had ended before/,
  )
  t.throws(() => on.check({ ...on.file, receipts: [one, lent] }), /receipt 2 is not genuine/)
})
