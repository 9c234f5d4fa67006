// The tracker moves to other ports, as to another machine: whoever is there follows, and who was away is told where it is.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseDocument } from '../../src/protocol/document.ts'
import { unseal } from '../../src/protocol/envelope.ts'
import { readConfig } from '../../src/system/config.ts'
import { clientShape, trackerShape } from '../../src/system/config-shapes.ts'
import { nodeSigner } from '../../src/trust/keys.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { writeNoise } from '../support/files.ts'
import { freePort } from '../support/meter.ts'
import { expired } from '../support/pki.ts'
import { plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'

t.test(
  '[ADR-1] [ADR-2] [RNW-2] the tracker moves, announced and signed, and all follow',
  async (t) => {
    const archive = await makeArchive(t)
    const { home, tracker, pillars } = archive
    const away = pillars['pillar-3']
    // Its certificate has ended while it was in a cupboard; its key is good.
    const folder = join(home, 'pillar-2')
    const privateKey = readFileSync(join(folder, 'key.pem'), 'utf8')
    const pair = { privateKey, publicKey: nodeSigner(privateKey).publicKey }
    const good = readFileSync(join(folder, 'certificate.pem'), 'utf8')
    const { cert } = await expired(home, 'pillar-2', { days: 700, pair })
    writeFileSync(join(folder, 'certificate.pem'), cert)
    await archive.start()
    t.match(pillars['pillar-2'].events('renewal.done'), [{ event: 'renewal.done' }])
    t.equal(readFileSync(join(folder, 'certificate.pem'), 'utf8'), good)
    await away.kill('SIGTERM')
    const [exchange, broker] = [await freePort(), await freePort()]
    const config = join(home, 'tracker', 'tracker.toml')
    const before = readConfig(config, trackerShape).values
    const script = join(import.meta.dirname, '..', '..', 'src', 'tracker.ts')
    const to = [`127.0.0.1:${exchange}`, '--broker-port', `${broker}`, '--config', config]
    const command = [script, 'set-address', ...to]
    const child = spawn(process.execPath, command, { env: plainEnvironment() })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text))
    t.same(await once(child, 'close'), [0, null])
    t.match(said, /all who are there hear it now\nthen start it anew/)

    const known = (name: string) => {
      const sealed = unseal(readFileSync(join(home, name, 'archive-document')), 1 << 22)
      return sealed && parseDocument(sealed.line)
    }
    await until('who is there has heard of it', () =>
      ['pillar-1', 'pillar-2'].every((name) => known(name)?.brokers !== undefined),
    )
    t.same(known('pillar-1')?.brokers, [`mqtts://127.0.0.1:${broker}`, before['broker.url']])
    t.same(known('pillar-1')?.exchanges, [
      { identity: 'tracker', urls: [`https://127.0.0.1:${exchange}`, before['exchange.urls'][0]] },
    ])
    // Still at the old place: a link that is cut finds it there.
    const first = pillars['pillar-1']
    await first.kill()
    first.start()
    await first.ready()
    t.pass('the new address does not answer yet, and the old one does')
    const members = await archive.colonnade(['members'])
    t.equal((await members.ended).code, 0, 'a client, too')

    await tracker.kill('SIGTERM')
    tracker.start()
    await tracker.ready()
    const after = readConfig(config, trackerShape).values
    t.equal(after['exchange.listen'], `127.0.0.1:${exchange}`)
    const followed = (name: 'pillar-1' | 'pillar-2'): boolean => {
      const events = pillars[name].events()
      const closed = events.findLastIndex(({ event }) => event === 'bus.closed')
      return events.findLastIndex(({ event }) => event === 'bus.connected') > closed && closed >= 0
    }
    await until('they follow', () => followed('pillar-1') && followed('pillar-2'))
    writeNoise(join(home, 'source', 'a'), 100_000, 1)
    const put = await archive.colonnade(['put', collection, join(home, 'source')])
    const { code, output, errors } = await put.ended
    t.equal(code, 0, output + errors)

    // Who was away knows the old address only: the tracker's one in its configuration is enough.
    away.start()
    await until('nobody answers there', () => away.events('document.notFetched').length > 0)
    await away.kill()
    const agent = join(home, 'pillar-3', 'agent.toml')
    changeConfig(agent, { 'tracker.url': `https://127.0.0.1:${exchange}` })
    away.start()
    await away.ready()
    t.equal(known('pillar-3')?.version, known('pillar-1')?.version)
    t.equal(readConfig(join(home, 'client', 'client.toml'), clientShape).values.name, 'client')
  },
)
