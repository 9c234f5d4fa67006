// The holes of the two predecessors, as read in their code: each has a test that would find it there, and passes here.

import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { recent } from '../../src/pillar/recent.ts'
import { type ArchiveDocument, parseDocument } from '../../src/protocol/document.ts'
import { fragmentFileId } from '../../src/protocol/fragments.ts'
import { Message, type RequestMessage } from '../../src/protocol/messages.ts'
import { forbidden } from '../../src/protocol/permissions.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { membershipOf, rig } from '../pillar/fragments/rig.ts'
import { topics, wire } from './wire.ts'

const root = resolve(import.meta.dirname, '..')
const here = 'wire/holes.test.ts'

/** What was open there, and by which test it would have been found: its file, and words of its title. */
const holes: readonly (readonly [hole: string, file: string, title: string])[] = [
  // Bitrepository.org
  ...([
    [
      'a request names file:// and the pillar reads or writes its own disk',
      'conformance/cases/put.ts',
      'bytes are fetched from nowhere but the exchange of their client',
    ],
    [
      'a request names any host, and the pillar dials it',
      'conformance/cases/get.ts',
      'bytes are delivered nowhere but to the exchange of their client',
    ],
    [
      'a request names any host: nothing but exchanges of the document',
      'transfer/route.test.ts',
      'a token sends nobody anywhere but to known exchanges',
    ],
    [
      'the name in the certificate of a server is not looked at',
      'transfer/https.test.ts',
      'a certificate that names nobody is refused on both sides',
    ],
    [
      'no nonce, no time: a message that was heard can be said again',
      'conformance/cases/endurance.ts',
      'whatever was said, said again in any order, changes nothing',
    ],
    [
      'an old delete reaches what was put since',
      'conformance/cases/removal.ts',
      'a delete that comes late does not reach what was put after it was made',
    ],
    [
      'type, receiver and collection are outside of the signature',
      'conformance/cases/messages.ts',
      'a signature is of the bytes: one letter altered afterwards is not heard',
    ],
    [
      'a message is parsed before its signature is checked',
      here,
      'nothing is parsed of a message whose signature is wrong',
    ],
    [
      'an operation that nobody thought of in the permissions is allowed',
      here,
      'who has no permission may ask nothing, whatever requests there are',
    ],
    [
      'what is refused is only logged, nobody is told',
      'conformance/cases/messages.ts',
      'a request of an unknown type is answered that it is not understood, and alarmed',
    ],
    [
      'what is refused is only logged: who may not is told so',
      'wire/permissions.test.ts',
      'what destroys is refused in one sentence',
    ],
    [
      'the key store has a password that everybody knows',
      'machine/machine.test.ts',
      'init puts everything in place, twice if need be',
    ],
    [
      'no list of revoked certificates',
      'real/trust.test.ts',
      'are let in by codes, and turned out',
    ],
    [
      'the limits of file ids hold only when others are set',
      'conformance/cases/put.ts',
      'ids that look like paths out of the archive',
    ],
    [
      'pages for people have no authentication',
      'transfer/https.test.ts',
      'who shows no certificate of this archive is refused',
    ],
    ['MD5 is the usual checksum', here, 'no document makes an archive keep files by a weak digest'],
  ] as const),
  // MyTorrent
  ...([
    [
      'no authentication, no TLS at the broker',
      'bus/embedded.test.ts',
      'nobody is heard without a certificate of our authority, or below TLS 1.3',
    ],
    [
      'anybody plays the tracker: hello, accepted, ended, goodbye',
      'pillar/fragments/fragments.test.ts',
      'an older epoch, and a member that is no tracker, order nothing',
    ],
    [
      'anybody plays the tracker: at the broker',
      'real/hostile.test.ts',
      'nobody speaks for another at the broker',
    ],
    ['anybody evicts a node', 'tracker/members-join.test.ts', 'what pillars say stops no tracker'],
    ['anybody reads all contents in delivered', here, 'no message carries bytes of a file'],
    ['who joins claims fragments that it does not have', 'tracker/inventory.test.ts', '[VIEW-5]'],
    ['an accepted join orders deletions', here, 'no word of joining takes a fragment away'],
    [
      'one sentence of the tracker deletes data',
      'wire/floors.test.ts',
      'a tracker that says that nobody needs anything any more',
    ],
    [
      'uploads reserve memory and space without bound',
      'conformance/cases/put.ts',
      'many that are too much together are not promised room one by one',
    ],
    ['the set of known events only grows', here, 'what is remembered of requests is bounded'],
    ['JSON of any size is read', 'real/hostile.test.ts', '[HOST-2]'],
    ['any hash algorithm is taken', 'tracker/members-join.test.ts', 'each conflict has its rule'],
    [
      'endpoints are not validated, downloads are redirected',
      'contract/transfer.ts',
      'a redirect is an answer like others',
    ],
  ] as const),
]

t.test('[HOLE-1] each hole of the predecessors has its test', async (t) => {
  for (const [hole, file, title] of holes) {
    const text = readFileSync(join(root, file), 'utf8')
    t.ok(text.includes(title), `${hole}: ${file} has ${title}`)
  }
})

t.test(
  '[THR-1] the table of threats has every attacker, and names tests that there are',
  async (t) => {
    const design = readFileSync(join(root, '..', 'DESIGN.md'), 'utf8')
    const from = design.indexOf('| asset | attacker | way |')
    const rows = design.slice(from, design.indexOf('\n\n', from)).split('\n').slice(2)
    const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()))
    const attackers = new Set(cells.map(([, , attacker]) => attacker))
    for (const who of `malicious pillar, malicious client, malicious broker, malicious tracker, stolen board,
    stolen laptop, network attacker, curious friend, ransomware on the owner's machine`.split(
      /,\s+/,
    ))
      t.ok(attackers.has(who), who)
    for (const [, asset, , , , tests = ''] of cells) {
      const named = [...tests.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
      t.ok(named.length > 0, `${asset}`)
      for (const name of named)
        t.ok(
          [`${name}.test.ts`, `${name}.ts`].some((path) => existsSync(join(root, path))),
          `test/${name}`,
        )
    }
  },
)

t.test('[HOLE-1] nothing is parsed of a message whose signature is wrong', async (t) => {
  const fleet = await startFleet({ seed: 1, pillars: 1, copiesMin: 1 })
  const ann = await wire(fleet)
  await fleet.time.advance(1_000)
  const type = 'GetStatusRequest' as const
  const request = { ...ann.make<typeof type>({ type }), marked: 'forged-by-eve' }
  const forged = { ...simSigner('ann'), sign: simSigner('eve').sign }
  const parsed: string[] = []
  const { parse } = JSON
  JSON.parse = (text, ...rest) => {
    if (String(text).includes('forged-by-eve')) parsed.push(String(text))
    return parse(text, ...rest)
  }
  try {
    await ann.say(topics.pillarRequests('pillar-1'), request, forged)
    await fleet.time.advance(5_000)
    t.same(parsed, [])
    t.same(ann.answers('GetStatusFinalResponse'), [])
    await ann.say(topics.pillarRequests('pillar-1'), request)
    await ann.wait('GetStatusFinalResponse')
    t.ok(parsed.length > 0, 'it is when the signature is right')
  } finally {
    JSON.parse = parse
  }
})

t.test('[HOLE-1] who has no permission may ask nothing, whatever requests there are', async (t) => {
  const types = Message.options
    .map(({ entries }) => entries.type.literal)
    .filter((type): type is RequestMessage['type'] => type.endsWith('Request'))
  t.ok(types.length > 25)
  const document: ArchiveDocument = {
    ...{ archive: 'test', version: 1, issuedAt: '', exchanges: [], permissions: [] },
    identities: [
      { name: 'ann', role: 'client', publicKey: '' },
      { name: 'attic', role: 'pillar', publicKey: '' },
    ],
    collections: [{ name: 'home', pillars: ['attic'], copiesMin: 1, algorithm: 'sha256' }],
  }
  for (const type of types)
    for (const who of ['ann', 'attic', 'eve'])
      t.ok(forbidden(document, who, 'home', type), `${who}: ${type}`)
  const unheard = 'EmptyTheArchiveRequest' as RequestMessage['type']
  t.ok(forbidden(document, 'ann', 'home', unheard), 'nor what is made one day')
})

t.test('[HOLE-1] no document makes an archive keep files by a weak digest', async (t) => {
  const policy = { name: 'home', pillars: ['attic'], copiesMin: 1 }
  const by = (algorithm: string) =>
    parseDocument(
      new TextEncoder().encode(
        JSON.stringify({
          ...{ archive: 'test', version: 1, issuedAt: '2026-01-01T00:00:00.000Z', identities: [] },
          ...{ exchanges: [], collections: [{ ...policy, algorithm }] },
        }),
      ),
    )
  t.ok(by('sha256'))
  for (const weak of ['md5', 'sha1', 'MD5', '']) t.equal(by(weak), undefined, weak)
})

t.test('[HOLE-1] no message carries bytes of a file', async (t) => {
  const fragments = { bytes: 64 * 1024, copies: 2 }
  const fleet = await startFleet({ seed: 2, pillars: 3, copiesMin: 2, fragments })
  const client = await fleet.client('bob')
  const heard: Buffer[] = []
  fleet.broker.connectAs('ann')({
    ...{ clientId: 'ann.ears', persistent: false, subscriptions: ['colonnade/#'] },
    receive: (_topic, payload) => void heard.push(Buffer.from(payload)),
    connected: () => undefined,
    closed: () => undefined,
  })
  await fleet.time.advance(60_000)
  const { signal } = new AbortController()
  const item = memoryItem(fleet.random, fleet, 'a.txt', 3_000)
  let bytes = Buffer.alloc(0)
  for await (const some of item.offer.read(0, item.size)) bytes = Buffer.concat([bytes, some])
  for (const collection of ['home', 'pieces'])
    await fleet.time.finish(putBatch(client, collection, [item], { signal }))
  await fleet.time.advance(10_000)
  const ended = heard.filter((one) => one.includes('FragmentDistributionEnded'))
  t.ok(ended.length > 0 && bytes.length === item.size)
  const piece = bytes.subarray(300, 360)
  for (const form of [piece, piece.toString('base64').slice(0, 40), piece.toString('hex')])
    t.notOk(heard.some((one) => one.includes(form)))
})

t.test('[HOLE-1] no word of joining takes a fragment away', async (t) => {
  const at = await rig('joining', { pillars: 2, copies: 2 })
  await at.join()
  const conversation = '00000000-0000-7000-8000-0000000000e1'
  const fragment = at.fragment(new Uint8Array(1_000).fill(7))
  const names = at.fleet.boards.map(({ name }) => name)
  await at.deliver([{ fragment, recipients: names }], conversation)
  await at.pass(10_000)
  const all = [{ ...fragment, outcome: 'complete' as const, holders: names }]
  await at.say('FragmentDistributionEnded', { conversation, fragments: all })
  await at.pass(5_000)
  const id = fragmentFileId(fragment)
  const holds = async () =>
    (await at.fleet.boards[0]?.index.stored('pieces', [id]))?.[0] !== undefined
  t.equal(await holds(), true)
  const others = {
    ...membershipOf(at.fleet, 2),
    version: 9,
    members: [{ id: 'pillar-2', weight: 1 }],
  }
  const removed = { RemoveFragmentInfos: [fragment.hash], removeFragments: [fragment.hash] }
  const to = ['pillar-1']
  await at.say('ClientJoinAccepted', { conversation, to, memberships: [others], ...removed })
  await at.say('ClientRegistered', {
    conversation,
    pillar: 'pillar-1',
    memberships: [],
    ...removed,
  })
  await at.say('FragmentDistributionEnded', {
    conversation,
    fragments: [{ ...fragment, outcome: 'aborted', holders: [] }],
  })
  await at.pass(60_000)
  t.equal(await holds(), true)
})

t.test('[HOLE-1] what is remembered of requests is bounded', async (t) => {
  const kept = recent<number>(3)
  for (let n = 0; n < 1_000; n++) kept.set(`${n}`, n)
  t.same(
    [996, 997, 998, 999].map((n) => kept.get(`${n}`)),
    [undefined, 997, 998, 999],
  )
})
