// Each program as one file, in an empty folder with an empty environment: the whole way that README describes.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { needs } from '../support/needs.ts'
import { asksUps } from '../support/serial.ts'
import { type CommandOf, tellStory } from '../support/story.ts'

const root = resolve(import.meta.dirname, '../..')
const base = mkdtempSync(join(tmpdir(), 'colonnade-bundle-'))

t.before(() => {
  const built = spawnSync(process.execPath, [join(root, 'scripts/bundle.ts'), join(base, 'dist')], {
    encoding: 'utf8',
    env: {},
  })
  t.equal(built.status, 0, built.stderr)
})
t.teardown(() => rmSync(base, { recursive: true, force: true }))

const bundled: CommandOf = (program) => [
  process.execPath,
  join(base, 'dist', `colonnade-${program}.cjs`),
]

// [PKG-6]
t.test('an archive is founded, joined and used by the three files alone', (t) =>
  tellStory(t, base, {
    tracker: bundled,
    pillars: { attic: bundled, cellar: bundled },
    putter: bundled,
    getter: bundled,
  }),
)

t.test('the agent speaks over a serial line', needs(t, ['socat']), (t) =>
  asksUps(t, bundled('agent'), join(base, 'serial')),
)
