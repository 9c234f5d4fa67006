// Two boards with one identity, as after copying a card: over mosquitto, which lets the second one in and throws the first one out.

import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { changeConfig, makeArchive } from '../support/archive.ts'
import { needs } from '../support/needs.ts'
import { until } from '../support/until.ts'

t.test('[DISK-10] both stop writing, and say so', needs(t, ['mosquitto']), async (t) => {
  const archive = await makeArchive(t, 'mosquitto')
  const { home, pillars } = archive
  const first = pillars['pillar-1']
  const mount = join(home, 'volumes', 'clone')
  mkdirSync(mount)
  cpSync(join(archive.volume('pillar-1'), '..'), mount, { recursive: true })
  const config = join(home, 'pillar-1', 'clone.toml')
  changeConfig(join(home, 'pillar-1', 'agent.toml'), { 'volume.mount': mount }, config)
  await archive.start()
  const twin = archive.agent('clone', config)
  twin.start()
  for (const one of [first, twin])
    await until(`${one.name} takes no more writes`, () =>
      one.events('volume.failed').some(({ why }) => /another board is there/.test(String(why))),
    )
  await until('the tracker has heard of it', async () => {
    const run = await archive.colonnade(['alarms', '--json'])
    await run.ended
    return run.objects().some(({ text }) => /another board is there/.test(String(text)))
  })
  t.pass()
})
