// What `set-address` signs, and writes into the configuration; where the broker shares the port, it goes along.

import { join } from 'node:path'
import t from 'tap'
import { setAddress } from '../../src/setup/address.ts'
import { readDocument } from '../../src/setup/archive.ts'
import { init } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { trackerShape } from '../../src/system/config-shapes.ts'

t.test('[ADR-1] [DOOR-1] a broker at the port of the exchange goes where that goes', async (t) => {
  const root = t.testdir({})
  await init(root, { archive: 'tried', host: 'old.example.org', exchangePort: '443' })
  const file = join(root, 'tracker', 'tracker.toml')
  const config = () => readConfig(file, trackerShape).values
  const before = config()
  t.match(setAddress(file, before, { address: 'new.example.org' }), {
    ...{ exchange: 'https://new.example.org:443', restart: false },
    broker: before['broker.url'].replace('old.', 'new.'),
  })
  const { document } = readDocument(join(root, 'tracker'))
  t.same(document.brokers, [before['broker.url'].replace('old.', 'new.'), before['broker.url']])
  t.equal(config()['broker.listen'], 'exchange')
  const again = setAddress(file, config(), { address: 'new.example.org:8443' })
  t.match(again, { exchange: 'https://new.example.org:8443', restart: true })
  t.match(config(), { 'exchange.listen': '0.0.0.0:8443', 'broker.listen': 'exchange' })
  t.match(config()['broker.url'], /^mqtts:\/\/new\.example\.org:8443$/)
  const own = { address: 'x', brokerPort: '8883' }
  t.throws(() => setAddress(file, config(), own), /the broker has no port of its own here/)
  t.throws(() => setAddress(file, config(), { address: 'a b' }), /a b is no address/)
})
