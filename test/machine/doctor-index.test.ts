// `doctor` while the agent runs: the index is the agent's own, so the agent is asked.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { askControl, serveControl } from '../../src/machine/control.ts'
import { indexAgainstBag } from '../../src/machine/volume-checks.ts'
import type { PillarKind } from '../../src/protocol/scalars.ts'

/** A volume with two files that are listed, of which `there` are there. */
function volume(t: Test, there: number, kind: PillarKind = 'file') {
  const mount = mkdtempSync(join(tmpdir(), 'colonnade-doctor-'))
  t.teardown(() => rmSync(mount, { recursive: true }))
  const bag = join(mount, 'colonnade/photos')
  mkdirSync(join(bag, 'data'), { recursive: true })
  writeFileSync(join(mount, 'colonnade/volume.json'), '{"volume":"v1"}')
  const names = ['ann.jpg', 'bob.jpg']
  const lines = names.map((name) => `${'0'.repeat(64)}  data/${name}\n`)
  writeFileSync(join(bag, 'manifest-sha256.txt'), lines.join(''))
  for (const name of names.slice(0, there)) writeFileSync(join(bag, 'data', name), 'x')
  return {
    socket: join(mount, 'agent.sock'),
    look: (told: () => Promise<Readonly<Record<string, unknown>> | undefined>) =>
      indexAgainstBag({
        ...{ mount, pillar: 'attic', archive: 'home', kind, reserveBytes: 0, told },
      }),
  }
}

// [PKG-6]
t.test('a running agent says what stands in its index, however long it takes', async (t) => {
  const { socket, look } = volume(t, 2)
  const index = async () => {
    await sleep(50)
    return { v1: [{ collection: 'photos', files: 2 }], v2: [{ collection: 'photos', files: 9 }] }
  }
  const stop = await serveControl(socket, { index })
  const ask = () => askControl([socket], 'index')
  t.match(await look(ask), { is: 'ok', text: 'photos 2 files (as the running agent says)' })
  await stop()
  t.match(await look(ask), { is: 'ok', text: /lists against files only/ })
})

t.test('what differs while it runs may follow; what is listed and lost is bad', async (t) => {
  const whole = volume(t, 2)
  const three = async () => ({ v1: [{ collection: 'photos', files: 3 }] })
  const behind = await whole.look(three)
  t.match(behind, { is: 'warn', text: 'photos: 3 files in the index, 2 in the manifest' })
  t.match(behind, { hint: /look again when it has been quiet for a minute/ })
  const gone = await whole.look(async () => ({ v1: [{ collection: 'films', files: 1 }] }))
  t.match(gone, { text: 'photos: 0 files in the index, 2 in the manifest, and 1 more' })
  const lost = await volume(t, 1).look(async () => ({ v1: [{ collection: 'photos', files: 2 }] }))
  t.match(lost, { is: 'bad', text: 'photos/data/bob.jpg is listed and not there' })
})

t.test('what another agent says of another volume is not believed of this one', async (t) => {
  const other = async () => ({ v7: [{ collection: 'photos', files: 99 }] })
  t.match(await volume(t, 2).look(other), { is: 'ok', text: /lists against files only/ })
})

t.test('of a pillar that keeps checksums only no file is missed', async (t) => {
  const told = async () => ({ v1: [{ collection: 'photos', files: 2 }] })
  t.match(await volume(t, 0, 'checksum').look(told), { is: 'ok' })
  t.match(await volume(t, 0).look(told), { is: 'bad' })
})
