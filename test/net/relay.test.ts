// Hosts that reach the tracker only, and not each other.

import { join } from 'node:path'
import t from 'tap'
import { bigFile, difference, MiB, smallFiles } from '../support/net-files.ts'
import { needsNetworks } from '../support/net-possible.ts'
import { onLan, three } from '../support/net-stories.ts'
import { until } from '../support/net-watch.ts'

const hosts = ['client', ...three]
const files = 100

t.test('where pillars cannot reach the client', needsNetworks(t), async (t) => {
  await onLan({ before: (network) => network.hide(hosts) }, async ({ home, fleet }) => {
    const source = smallFiles(join(home, 'source'), files, 10_000)
    bigFile(source, 'big.bin', 24 * MiB)
    const unreachable = (name: string): number =>
      fleet.log(name).filter(({ event }) => event === 'transfer.unreachable').length

    await t.test('the relay takes over for a put, and all copies are equal', async (t) => {
      await fleet.run('put', 'home', source, '--wait', 'all')
      for (const name of three)
        t.equal(difference(source, join(home, 'volumes', name, 'colonnade/home/data')), '', name)
    })

    await t.test('a pillar tries the dead address once a batch, not once a file', async (t) => {
      // Up to four transfers of each batch begin together; the client gives two addresses.
      const batches = Math.ceil(files / 64) + 1
      for (const name of three) {
        t.ok(unreachable(name) > 0, `${name} has tried`)
        t.ok(unreachable(name) <= batches * 4 * 2, `${name} has tried ${unreachable(name)} times`)
      }
    })

    await t.test('the relay takes over for a get, and the bytes are equal', async (t) => {
      await fleet.run('get', 'home', '--all', '-o', join(home, 'back'))
      t.equal(difference(source, join(home, 'back')), '')
    })

    await t.test('nothing is left in the relay', async (t) => {
      const { diskBytes } = await import('../support/net-watch.ts')
      const left = (): number => diskBytes(join(home, 'tracker/spool'))
      await until('the spool is empty', () => left() < MiB, 10_000).catch(() => undefined)
      t.ok(left() < MiB, `${left()} bytes are there`)
    })
  })
})
