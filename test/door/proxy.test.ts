import t from 'tap'
import { proxyFor } from '../../src/door/proxy.ts'

const proxy = 'http://proxy.example.org:3128'

t.test('[DOOR-3] a proxy is used for what lies outside, unless it is exempt', async (t) => {
  const cases: [
    host: string,
    port: number,
    environment: Record<string, string>,
    isUsed: boolean,
  ][] = [
    ['tracker.example.org', 443, {}, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: '' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy }, true],
    ['tracker.example.org', 8443, { https_proxy: proxy }, true],
    ['tracker.example.org', 443, { HTTP_PROXY: proxy }, false],
    ['93.184.216.34', 443, { HTTPS_PROXY: proxy }, true],
    ['2001:db8::1', 443, { HTTPS_PROXY: proxy }, true],
    ...[
      '127.0.0.1',
      'localhost',
      '192.168.1.20',
      '10.0.0.9',
      '172.16.3.1',
      '169.254.7.7',
      '::1',
      'fd00::5',
    ].map((host): (typeof cases)[number] => [host, 443, { HTTPS_PROXY: proxy }, false]),
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: '*' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'example.org' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'a.b, .example.org' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, no_proxy: '*.example.org' }, false],
    ['TRACKER.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'Tracker.Example.ORG' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'example.org:443' }, false],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'example.org:8443' }, true],
    ['badexample.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'example.org' }, true],
    ['tracker.example.org', 443, { HTTPS_PROXY: proxy, NO_PROXY: 'x,,' }, true],
  ]
  for (const [host, port, environment, isUsed] of cases)
    t.equal(
      proxyFor(host, port, environment) !== undefined,
      isUsed,
      `${host}:${port} ${JSON.stringify(environment)}`,
    )
})

t.test('[DOOR-3] a proxy may be named without a scheme, and by nothing but HTTP', async (t) => {
  t.equal(proxyFor('a.org', 443, { HTTPS_PROXY: 'proxy:3128' })?.href, 'http://proxy:3128/')
  t.equal(proxyFor('a.org', 443, { HTTPS_PROXY: 'https://proxy' })?.protocol, 'https:')
  for (const wrong of ['socks5://me:secret@proxy:1080', 'http://me:secret@:99999'])
    t.throws(() => proxyFor('a.org', 443, { HTTPS_PROXY: wrong }), {
      message: /^HTTPS_PROXY does not name a proxy [^@]*$/,
    })
})
