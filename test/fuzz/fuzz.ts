// Everything that reads what others have written, given what nobody meant: nothing throws, and nothing is believed that was not
// signed as it stands.

import { isDeepStrictEqual } from 'node:util'
import { crc16, frames, read, written } from '../../src/bay/frames.ts'
import { framing } from '../../src/bus/framing.ts'
import { bench } from '../../src/exchange/bench.ts'
import { compose, expiryText, uuid7 } from '../../src/post/compose.ts'
import { parseStatus, readingOf } from '../../src/power/megatec.ts'
import { parseList } from '../../src/power/nut-text.ts'
import { parseDocument } from '../../src/protocol/document.ts'
import { parseEnrolmentRequest, parseInvitation } from '../../src/protocol/enrolment.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import { fileIdFault } from '../../src/protocol/scalars.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { type SimRandom, simRandom } from '../../src/sim/random.ts'
import {
  objectPath,
  parseContentRange,
  parseCount,
  parseObjectPath,
  parseRange,
} from '../../src/transfer/objects.ts'
import { checkToken, claimsOf } from '../../src/transfer/token.ts'
import { codeText, readCode } from '../../src/trust/code.ts'
import { ask, claims, nameOf, patternOffer, rig, tokenBy } from '../exchange/rig.ts'
import { hello, publish, subscribe } from '../real/hostile/packets.ts'
import { mutated } from './mutations.ts'

interface Target {
  readonly name: string
  readonly samples: readonly Uint8Array[]
  /** What is wrong with what came of it; nothing mostly. */
  look(
    bytes: Buffer,
    sample: Uint8Array,
    random: SimRandom,
  ): string | undefined | Promise<string | undefined>
}

export interface Finding {
  readonly target: string
  readonly seed: number
  readonly what: string
  /** Hexadecimal. */
  readonly bytes: string
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8')
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

type Rig = Awaited<ReturnType<typeof rig>>

function requests(ground: Rig): Uint8Array[] {
  const common = {
    conversation: uuid7(ground.world),
    collection: 'home',
    replyTo: 'colonnade/replies/ann/x',
    expiresAt: expiryText(ground.world, 60_000),
  }
  const file = {
    id: 'a/b.jpg',
    size: 1000,
    checksum: 'a'.repeat(64),
    mtime: '2026-01-01T00:00:00.000Z',
  }
  const transmission = {
    exchanges: [{ identity: 'ann', urls: ['https://192.168.1.9:1'] }],
    token: 'none',
  }
  const all = [
    compose<'PutFileRequest'>(ground.world, 'ann', {
      ...common,
      type: 'PutFileRequest',
      files: [file],
      transmission,
    }),
    compose<'GetFileRequest'>(ground.world, 'ann', {
      ...{ ...common, type: 'GetFileRequest', transmission },
      files: [{ id: 'a/b.jpg', offset: 5, length: 10 }],
    }),
    compose<'GetFileIDsRequest'>(ground.world, 'ann', {
      ...common,
      type: 'GetFileIDsRequest',
      prefix: 'a/',
      maxResults: 7,
    }),
  ]
  return all.map((one) => seal(JSON.stringify(one), simSigner('ann')))
}

function messages(ground: Rig): Target[] {
  const ann = simSigner('ann')
  const samples = requests(ground)
  const lines = new Set(samples.map((one) => unseal(one)?.line.toString()))
  return [
    {
      name: 'a message on the bus',
      samples,
      look(bytes) {
        const sealed = unseal(bytes)
        const owner = sealed && ground.directory.keyOwner(sealed.keyId)
        if (!sealed || !owner) return undefined
        const { algorithm, line, signature } = sealed
        if (!ground.keys.verify(algorithm, owner.publicKey, line, signature)) return undefined
        return lines.has(line.toString()) ? undefined : 'believed, though it was never signed'
      },
    },
    {
      name: 'a message by a member who signs anything',
      samples: samples.map((one) => unseal(one)?.line ?? one),
      look(bytes) {
        if (bytes.length > 60_000 || bytes.includes(10)) return undefined
        const parsed = parse(unseal(seal(bytes.toString(), ann))?.line ?? bytes)
        if (parsed.is !== 'message')
          return /[\r\n]/.test(parsed.why) ? 'more than one line says why' : undefined
        const { files = [] } = parsed.message as {
          files?: readonly { id: string; size?: number }[]
        }
        const bad = files.find(
          ({ id, size }) => fileIdFault(id) !== undefined || (size !== undefined && !isCount(size)),
        )
        return bad && `taken: ${JSON.stringify(bad)}`
      },
    },
    {
      name: 'an archive document',
      samples: [unseal(ground.sealed, 1 << 22)?.line ?? ground.sealed],
      look(bytes) {
        const document = parseDocument(bytes)
        return document && !isCount(document.version) ? 'a version that does not count' : undefined
      },
    },
    {
      name: 'an enrolment',
      samples: [
        { role: 'pillar', secret: 'ab'.repeat(10), publicKey: 'AAAA', proof: 'ES256 AAAA' },
        {
          role: 'pillar',
          name: 'attic',
          replace: false,
          madeAt: '2026-01-01T00:00:00.000Z',
          expiresAt: '2026-01-02T00:00:00.000Z',
        },
      ].map((one) => bytesOf(JSON.stringify(one))),
      look(bytes) {
        const asked = parseEnrolmentRequest(bytes.toString())
        parseInvitation(bytes.toString())
        return asked && !/^[0-9a-f]{20}$/.test(asked.secret)
          ? 'a secret of another form'
          : undefined
      },
    },
  ]
}

function tokens(ground: Rig): Target[] {
  const right = claims(ground)
  const token = tokenBy('ann', right)
  const now = ground.time.clock.now()
  return [
    {
      name: 'a token',
      samples: [bytesOf(token)],
      look(bytes) {
        const checked = checkToken(bytes.toString('latin1'), ground.directory, ground.keys, now)
        claimsOf(bytes.toString('latin1'))
        if ('refused' in checked) return undefined
        return isDeepStrictEqual(checked.claims, right) ? undefined : 'other claims are believed'
      },
    },
    {
      name: 'a token by a client who signs anything',
      samples: [bytesOf(JSON.stringify(right))],
      look(bytes) {
        const { algorithm, keyId, sign } = simSigner('ann')
        const head = bytesOf(JSON.stringify({ alg: algorithm, kid: keyId })).toString('base64url')
        const signed = `${head}.${bytes.toString('base64url')}`
        const whole = `${signed}.${Buffer.from(sign(bytesOf(signed))).toString('base64url')}`
        const checked = checkToken(whole, ground.directory, ground.keys, now)
        if ('refused' in checked) return undefined
        const { iss, obj, exp } = checked.claims
        const isFine =
          iss === 'ann' &&
          exp * 1000 > now &&
          obj.every(([name, size]) => /^[\w-]{22}$/.test(name) && size >= -1)
        return isFine ? undefined : `believed: ${JSON.stringify(checked.claims)}`
      },
    },
  ]
}

function http(ground: Rig): Target[] {
  const shelf = bench()
  shelf.offer(nameOf('a'), patternOffer(1000))
  const serve = ground.exchangeOf('ann', shelf)
  const token = tokenBy('ann', claims(ground))
  const path = `/objects/ann/${nameOf('a')}`
  const fields = [path, token, 'bytes=5-20', `"${nameOf('a')}"`, '3'].join('\n')
  return [
    {
      name: 'a request to an exchange',
      samples: [bytesOf(fields)],
      async look(bytes, _, random) {
        const [path = '', token = '', range = '', validator = '', safe = ''] = bytes
          .toString('latin1')
          .split('\n')
        const method = random.pick(['GET', 'HEAD', 'PATCH', 'DELETE'] as const)
        const headers = {
          range,
          'if-range': validator,
          'safe-offset': safe,
          'content-length': safe,
          'upload-offset': safe,
        }
        const response = await ask(serve, 'attic', { path, token, method, headers })
        let length = 0
        for await (const some of response.body ?? []) length += some.length
        const told = parseCount(response.headers['content-length'])
        if (told !== undefined && told !== length)
          return `${told} bytes were promised, ${length} came`
        const isRight = path === fields.split('\n')[0] && token.length > 40
        if (
          response.status < 300 &&
          !isRight &&
          parseObjectPath(path) === undefined &&
          path !== '/archive-document'
        )
          return `${response.status} for ${path}`
        const odd = Object.values(response.headers).find((one) => /[\r\n]/.test(one))
        return odd === undefined ? undefined : 'a field of two lines'
      },
    },
    {
      name: 'paths, ranges and counts',
      samples: [path, 'bytes=5-20', 'bytes 5-20/100', '1234'].map(bytesOf),
      look(bytes) {
        const text = bytes.toString('latin1')
        const key = parseObjectPath(text)
        if (key && objectPath(key) !== text) return 'another path'
        const range = parseRange(text)
        if (range && !(isCount(range.first) && (range.last ?? range.first) >= range.first))
          return 'a range that is none'
        const content = parseContentRange(text)
        if (content && !(content.last < content.size && content.first <= content.last))
          return 'a part that is none'
        const count = parseCount(text)
        return count === undefined || isCount(count) ? undefined : 'a number that does not count'
      },
    },
  ]
}

const code = codeText({
  address: 'tracker.example.org',
  fingerprint: 'ab'.repeat(10),
  secret: 'cd'.repeat(10),
})
const variables = ['input.voltage "230.0"', 'ups.status "OL CHRG"', 'battery.charge "100"']
const list = `BEGIN LIST VAR ups\n${variables.map((one) => `VAR ups ${one}\n`).join('')}END LIST VAR ups\n`

const lines: Target[] = [
  {
    name: 'frames of a bay controller',
    samples: [
      { number: 7, words: ['STATE', '01SF'] },
      { number: 255, words: ['ON', '3'] },
    ].map((one) => bytesOf(written(one))),
    look(bytes) {
      for (const one of frames()(bytes))
        if (!isDeepStrictEqual(read(written(one)), one)) return 'a frame that can not be written'
      return crc16(bytes.toString('latin1')) <= 0xffff ? undefined : 'a check that is none'
    },
  },
  {
    name: 'the words of a UPS',
    samples: ['(230.1 230.1 230.1 012 50.0 13.6 25.0 00001000', list].map(bytesOf),
    look(bytes) {
      const status = parseStatus(bytes.toString('latin1'))
      const odd = Object.values(status ? readingOf(status) : {}).find(
        (one) => typeof one === 'number' && !Number.isFinite(one),
      )
      parseList(bytes.toString('latin1'), 'ups')
      return odd === undefined ? undefined : 'a reading that is no number'
    },
  },
  {
    name: 'packets of MQTT',
    samples: [
      Buffer.concat([hello('p1.x'), subscribe('a/b'), publish('a/b', bytesOf('x'.repeat(200)))]),
    ],
    look(bytes, sample) {
      if (framing(1_000).check(sample) !== undefined) return 'what is right is refused'
      const [whole, parts] = [framing(1_000), framing(1_000)]
      const why = whole.check(bytes)
      // In whatever pieces they come.
      let other: string | undefined
      for (const byte of bytes) other ??= parts.check(Uint8Array.of(byte))
      return why === other ? undefined : `${why} as a whole, ${other} byte by byte`
    },
  },
  {
    name: 'a code that was typed',
    samples: [bytesOf(code)],
    look(bytes) {
      try {
        readCode(bytes.toString())
        return undefined
      } catch (error) {
        return error instanceof Error && /^[^\n]{10,200}$/.test(error.message)
          ? undefined
          : `${error}`
      }
    },
  },
]

/** So many mutations of each kind, by this seed. */
export async function fuzz(
  seed: number,
  rounds: number,
): Promise<{ tried: number; findings: Finding[] }> {
  const ground = await rig(seed)
  const targets = [...messages(ground), ...tokens(ground), ...http(ground), ...lines]
  const findings: Finding[] = []
  for (const { name, samples, look } of targets) {
    const random = simRandom(`${seed}/${name}`)
    for (let n = 0; n < rounds; n++) {
      const sample = random.pick(samples)
      const bytes = mutated(sample, random)
      let what: string | undefined
      try {
        what = await look(bytes, sample, random)
      } catch (error) {
        what = `it throws: ${error instanceof Error ? error.stack : error}`
      }
      if (what !== undefined)
        findings.push({ target: name, seed, what, bytes: bytes.toString('hex') })
    }
  }
  return { tried: targets.length * rounds, findings }
}
