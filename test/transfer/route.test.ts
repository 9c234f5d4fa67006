import t from 'tap'
import { limits } from '../../src/limits.ts'
import { hopsOf, isPrivate, route } from '../../src/transfer/route.ts'
import { claims, hopTo, relayUrl, rig, tokenBy } from '../exchange/rig.ts'

t.test('only addresses of a network of one own count as private, written in one way', async (t) => {
  const inside = [
    '10.0.0.1',
    '10.255.255.255',
    '127.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.1.1',
    '[::1]',
    '[fd00::1]',
    '[fc12:3456::1]',
    '[fe80::1]',
    '[febf::1]',
  ]
  for (const host of inside) t.equal(isPrivate(`https://${host}:8443`), true, host)
  const outside = [
    '8.8.8.8',
    '11.0.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '169.253.0.1',
    '0.0.0.0',
    '010.0.0.1',
    '10.0.0.01',
    '10.0.0',
    '10.0.0.0.1',
    '10..0.1',
    '10.0.0.256',
    '10.0.0.1.',
    '0x0a.0.0.1',
    '167772161',
    '[::2]',
    '[::1:2]',
    '[::ffff:10.0.0.1]',
    '[2001:db8::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[FD00::1]',
    '[fd00::1%25eth0]',
    'localhost',
    'nas.local',
    '10.0.0.1@evil.example',
    '',
  ]
  for (const host of outside) t.equal(isPrivate(`https://${host}:8443`), false, host)
  const forms = [
    'http://10.0.0.1:80',
    'https://10.0.0.1',
    'https://10.0.0.1:',
    'https://10.0.0.1:0',
    'https://10.0.0.1:443/',
    'https://10.0.0.1:443/x',
    'https://10.0.0.1:443?x',
    'https://10.0.0.1:443#',
    'https://a@10.0.0.1:443',
    'https://10.0.0.1:123456',
    ' https://10.0.0.1:443',
    'https://10.0.0.1:443\n',
    'HTTPS://10.0.0.1:443',
  ]
  for (const url of forms) t.equal(isPrivate(url), false, JSON.stringify(url))
})

t.test(
  '[XFER-3] a token sends nobody anywhere but to known exchanges and its issuer near by',
  async (t) => {
    const ground = await rig()
    const lan = 'https://192.168.1.10:8443'
    const hops = (exchanges: { identity: string; urls: string[] }[], aud = ['ann', 'tracker']) =>
      hopsOf({ exchanges, token: tokenBy('ann', claims(ground, { aud })) }, ground.directory)?.hops
    t.strictSame(
      hops([
        { identity: 'ann', urls: ['https://8.8.8.8:443', lan] },
        { identity: 'bob', urls: ['https://192.168.1.11:1'] },
        { identity: 'stranger', urls: ['https://192.168.1.12:1'] },
        { identity: 'tracker', urls: ['https://8.8.8.8:443'] },
      ]),
      [
        { identity: 'ann', url: lan, relay: false, connectMs: limits.lanConnectMs },
        { identity: 'tracker', url: relayUrl, relay: true, connectMs: limits.connectMs },
      ],
    )
    t.strictSame(hops([{ identity: 'ann', urls: [lan] }], ['tracker']), [], 'not good there')
    t.strictSame(hops([]), [])
    t.equal(hopsOf({ exchanges: [], token: 'none' }, ground.directory), undefined)
    const many = Array.from({ length: 500 }, (_, n) => `https://10.0.${n >> 8}.${n & 255}:443`)
    const few = hops([{ identity: 'ann', urls: many }]) ?? []
    t.ok(few.length <= 8, `${few.length} of 500 are tried`)
    t.ok(few.reduce((sum, { connectMs }) => sum + connectMs, 0) <= limits.lanConnectMs)
  },
)

t.test('[XFER-6] what could not be reached is passed over for a while', async (t) => {
  const { time } = await rig()
  const [near, far, last] = [hopTo('ann', 'a'), hopTo('ann', 'b'), hopTo('tracker', 'c')]
  const way = route({ clock: time.clock })
  const next = () => way.next([near, far, last])?.url
  t.equal(next(), 'a')
  way.avoid(near)
  t.equal(next(), 'b')
  way.avoid(far)
  way.avoid(last)
  t.equal(next(), 'c', 'the last of all when every one is avoided')
  await time.advance(29_999)
  t.equal(next(), 'c')
  await time.advance(1)
  t.equal(next(), 'a')
  t.equal(way.next([]), undefined)
})
