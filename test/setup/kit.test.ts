// A kit is made where the owner key lies, and proved to open; what is wrong with it is said.

import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { setAddress } from '../../src/setup/address.ts'
import { init } from '../../src/setup/found.ts'
import { confirmKit, kitFault, makeKit, restoreArchive } from '../../src/setup/kit.ts'
import { isCredential, signingKeys, waitingIn } from '../../src/setup/signing.ts'
import { readConfig, rewriteConfig } from '../../src/system/config.ts'
import { trackerShape } from '../../src/system/config-shapes.ts'
import { openKit } from '../../src/trust/kit.ts'

const now = Date.UTC(2026, 10, 23)

async function founded(
  t: Test,
  ports: { exchangePort: string; brokerPort?: string } = {
    exchangePort: '8443',
    brokerPort: '8883',
  },
) {
  const root = t.testdir({})
  await init(root, { archive: 'tried', host: 'tracker.example.org', ...ports })
  const path = join(root, 'tracker', 'tracker.toml')
  return { root, path, config: () => readConfig(path, trackerShape).values }
}

t.test('[KIT-2] until somebody has opened the kit, there is something to be said', async (t) => {
  const { root, path, config } = await founded(t)
  t.match(kitFault(config()), /this archive has no recovery kit/)
  const page = makeKit(config(), 'x', now, 10)
  t.match(page, /^RECOVERY KIT OF THE COLONNADE ARCHIVE "tried"/)
  t.ok(page.split('\n').every((line) => line.length <= 100))
  t.match(kitFault(config()), /nobody has tried yet whether the recovery kit can be opened/)
  const kit = openKit(page, 'x')
  t.throws(() => confirmKit(config(), { ...kit, archive: 'other' }, now), /kit of another archive/)
  const older = { ...kit, part: 'A'.repeat(43) }
  t.throws(() => confirmKit(config(), older, now), /this kit is out of date/)
  t.match(kitFault(config()), /nobody has tried yet/)
  confirmKit(config(), kit, now)
  t.equal(kitFault(config()), undefined)
  // The owner key is taken away: nothing is to be said, and no other kit can be made.
  renameSync(join(root, 'archive'), join(root, 'away'))
  t.equal(kitFault(config()), undefined)
  t.throws(() => makeKit(config(), 'x', now, 10), /the owner key and the authority are not here/)
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('tracker.example', 'moved.example'))
  t.match(kitFault(config()), /another address than its recovery kit says/)
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('moved.example.org', '127.0.0.1'))
  t.equal(kitFault(config()), undefined, 'a trial on one machine needs none')
})

t.test(
  '[KIT-3] a machine that was restored has the same keys, and only its owner reads them',
  async (t) => {
    const { root, config } = await founded(t)
    const kit = openKit(makeKit(config(), 'x', now, 10), 'x')
    const folder = join(root, 'other')
    const path = await restoreArchive(folder, kit, { now })
    for (const file of ['archive/owner.key', 'archive/ca.key', 'archive/ca.pem', 'tracker/key.pem'])
      t.equal(
        readFileSync(join(folder, file), 'utf8'),
        readFileSync(join(root, file), 'utf8'),
        file,
      )
    for (const file of [
      'archive/owner.key',
      'archive/ca.key',
      'tracker/key.pem',
      'tracker/recovery.key',
    ])
      t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file)
    const [before, after] = [config(), readConfig(path, trackerShape).values]
    for (const key of [
      'name',
      'archive',
      'owner',
      'broker.url',
      'broker.listen',
      'exchange.urls',
      'exchange.listen',
    ] as const)
      t.same(after[key], before[key], key)
    t.match(waitingIn(join(folder, 'tracker')), /waits for its pillars/)
    await t.rejects(restoreArchive(folder, kit, { now }), /holds an archive already/)
    const elsewhere = join(root, 'elsewhere')
    const moved = await restoreArchive(elsewhere, kit, { now, host: 'new.example.org' })
    t.same(readConfig(moved, trackerShape).values['exchange.urls'], [
      'https://new.example.org:8443',
    ])
    t.ok(existsSync(join(elsewhere, 'tracker/recovering')))
  },
)

t.test(
  '[KIT-3] [DOOR-1] a broker without a port of its own has none afterwards either',
  async (t) => {
    const { root, config } = await founded(t, { exchangePort: '443' })
    t.equal(config()['broker.listen'], 'exchange')
    const kit = openKit(makeKit(config(), 'x', now, 10), 'x')
    const { values } = readConfig(
      await restoreArchive(join(root, 'other'), kit, { now }),
      trackerShape,
    )
    t.equal(values['broker.listen'], 'exchange')
    t.equal(values['exchange.listen'], '0.0.0.0:443')
    t.equal(values['broker.url'], config()['broker.url'])
  },
)

t.test(
  '[KIT-6] keys that systemd gives to the service are used there, and by nobody else',
  async (t) => {
    const { root, path, config } = await founded(t)
    rewriteConfig(path, trackerShape, { 'owner-key': '$CREDENTIALS_DIRECTORY/owner.key' })
    const given = config()['owner-key']
    t.ok(isCredential(given))
    t.notOk(isCredential(join(root, 'archive', 'owner.key')))
    t.equal(signingKeys(given), undefined, 'a command sees none')
    const { CREDENTIALS_DIRECTORY: before } = process.env
    t.teardown(() => {
      if (before === undefined) delete process.env.CREDENTIALS_DIRECTORY
      else process.env.CREDENTIALS_DIRECTORY = before
    })
    process.env.CREDENTIALS_DIRECTORY = join(root, 'archive')
    t.equal(signingKeys(given)?.owner.publicKey, config().owner)
    process.env.CREDENTIALS_DIRECTORY = root
    t.equal(signingKeys(given), undefined)
  },
)

t.test('[DOOR-1] a tracker that moves takes its broker along, to the one port', async (t) => {
  const { path, config } = await founded(t, { exchangePort: '8443' })
  const moved = setAddress(path, config(), { address: 'new.example.org:443' })
  t.match(moved, { broker: 'mqtts://new.example.org:443', restart: true })
  t.match(config(), { 'broker.listen': 'exchange', 'exchange.listen': '0.0.0.0:443' })
  t.throws(
    () => setAddress(path, config(), { address: 'new.example.org', brokerPort: '8883' }),
    /no port of its own/,
  )
})
