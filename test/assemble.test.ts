// Files come back from the disks of pillars by a shell script alone, whatever their names are.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { fragmentFileId } from '../src/protocol/fragments.ts'
import { simClock } from '../src/sim/clock.ts'
import { simRandom } from '../src/sim/random.ts'
import { simWorld } from '../src/sim/world.ts'
import { entryOf } from '../src/vault/text.ts'

const script = resolve(import.meta.dirname, '../deploy/assemble.sh')
const world = simWorld(simClock().clock, simRandom('assemble'), 't')
const sha = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')
const fragmentBytes = 1000

interface File {
  readonly id: string
  readonly bytes: Uint8Array
  readonly version?: number
  readonly state?: 'stored' | 'deleted'
  readonly mtime?: number
}

/** Volumes on which each fragment stands once, and each text on all. */
function volumes(t: Test, files: readonly File[], count = 3): string[] {
  const mounts = Array.from({ length: count }, (_, n) => join(t.testdirName, `disk ${n}'s`))
  const write = (mount: string, id: string, bytes: Uint8Array | string): void => {
    const path = join(mount, 'colonnade/pieces/data', id)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
  let turn = 0
  for (const { id, bytes, version = 1, state = 'stored', mtime = 1_600_000_000_123 } of files) {
    const slices: { hash: string; size: number }[] = []
    for (let at = 0; at < bytes.length; at += fragmentBytes) {
      const slice = bytes.subarray(at, at + fragmentBytes)
      slices.push({ hash: sha(slice), size: slice.length })
      const path = fragmentFileId({ hash: sha(slice), kind: 'slice' })
      if (state === 'stored') write(mounts[turn++ % count] ?? '', path, slice)
    }
    const about = { collection: 'pieces', id, version, state, size: bytes.length, mtime }
    const told = { ...about, checksum: sha(bytes), slices: state === 'stored' ? slices : [] }
    const { text, fragment } = entryOf(world, told)
    for (const mount of mounts) write(mount, fragmentFileId(fragment), text)
  }
  return mounts
}

const shells = [['dash'], ['bash', '--posix'], ['sh']].filter(
  ([shell = '']) => spawnSync(shell, ['-c', 'exit 0']).status === 0,
)

const assemble = (shell: readonly string[], args: readonly string[]) =>
  spawnSync(shell[0] ?? '', [...shell.slice(1), script, ...args], { encoding: 'utf8' })

const random = (length: number, seed: number): Uint8Array =>
  simRandom(`bytes ${seed}`).bytes(length)

const names = [
  'plain.txt',
  'a folder/with a name',
  ' spaces around ',
  'quotes \' and " and `touch x` and $(touch y) and $HOME',
  'new\nline',
  'at the end\n',
  '\n',
  'tab\tand\u0007bell',
  'back\\slash \\n \\0101',
  '*',
  '[a-z]?',
  '-rf',
  '--',
  'ümläut/日本語/🏛',
  'percent %s %b %n',
  '#comment',
  '~',
  'x'.repeat(255),
]

for (const shell of shells)
  t.test(
    `[VAULT-8] every file comes back by ${shell.join(' ')}, with its name, bytes and time`,
    async (t) => {
      t.testdir()
      const sizes = [0, 1, 999, 1000, 1001, 5000, 7013]
      const files = names.map((id, n) => ({ id, bytes: random(sizes[n % sizes.length] ?? 0, n) }))
      const out = join(t.testdirName, 'out')
      const { status, stdout, stderr } = assemble(shell, [out, ...volumes(t, files)])
      t.equal(stderr, '')
      t.equal(status, 0)
      t.match(stdout, `${files.length} files rebuilt`)
      for (const { id, bytes } of files) {
        const path = join(out, 'pieces', id)
        t.ok(readFileSync(path).equals(bytes), JSON.stringify(id))
        t.equal(Math.floor(statSync(path).mtimeMs / 1000), 1_600_000_000)
      }
      const again = assemble(shell, [out, ...volumes(t, files)])
      t.match(again.stdout, `0 files rebuilt, ${files.length} were there already`)
      t.equal(again.status, 0)
    },
  )

t.test('[VAULT-8] the newest version counts, and what was deleted stays so', async (t) => {
  t.testdir()
  const [old, fresh, gone, back] = [1, 2, 3, 4].map((seed) => random(2500, seed)) as [
    ...Uint8Array[],
  ] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const files: File[] = [
    { id: 'a', bytes: fresh, version: 10 },
    { id: 'a', bytes: old, version: 9 },
    { id: 'gone', bytes: gone, version: 3 },
    { id: 'gone', bytes: gone, version: 4, state: 'deleted' },
    { id: 'back', bytes: back, version: 5 },
    { id: 'back', bytes: back, version: 4, state: 'deleted' },
  ]
  const out = join(t.testdirName, 'out')
  const { status, stdout } = assemble(['sh'], [out, ...volumes(t, files)])
  t.equal(status, 0)
  t.match(stdout, '2 files rebuilt')
  t.ok(readFileSync(join(out, 'pieces/a')).equals(fresh))
  t.ok(readFileSync(join(out, 'pieces/back')).equals(back))
  t.throws(() => statSync(join(out, 'pieces/gone')))
})

t.test('[VAULT-8] what is damaged or missing is named, and the rest comes back', async (t) => {
  t.testdir()
  const files = ['a', 'b', 'c'].map((id, n) => ({ id, bytes: random(2500, n) }))
  const [first, ...others] = volumes(t, files)
  const hash = sha(files[0]?.bytes.subarray(0, fragmentBytes) ?? '')
  const rotten = join(first ?? '', 'colonnade/pieces/data', fragmentFileId({ hash, kind: 'slice' }))
  t.ok(statSync(rotten).isFile())
  writeFileSync(rotten, 'x'.repeat(fragmentBytes))
  const out = join(t.testdirName, 'out')
  const { status, stdout, stderr } = assemble(['sh'], [out, first ?? '', ...others])
  t.equal(status, 1)
  t.match(stdout, '2 files rebuilt')
  t.match(stderr, `a: fragment ${hash} is on none of these volumes`)
  const whole = join(
    others[0] ?? '',
    'colonnade/pieces/data',
    fragmentFileId({ hash, kind: 'slice' }),
  )
  mkdirSync(dirname(whole), { recursive: true })
  writeFileSync(whole, files[0]?.bytes.subarray(0, fragmentBytes) ?? '')
  t.equal(assemble(['sh'], [out, first ?? '', ...others]).status, 0, 'another disk has it')
})

t.test('[VAULT-8] only the files that are named, and none outside of the folder', async (t) => {
  t.testdir()
  const bytes = random(10, 1)
  const ids = ['a', 'new\nline', '../evil', 'x/../../evil']
  const mounts = volumes(
    t,
    ids.map((id) => ({ id, bytes })),
  )
  const out = join(t.testdirName, 'out')
  const some = assemble(['sh'], [out, ...mounts, '--', 'new\\0012line'])
  t.equal(some.status, 0, some.stderr)
  t.ok(readFileSync(join(out, 'pieces/new\nline')).equals(bytes))
  t.throws(() => statSync(join(out, 'pieces/a')))
  const all = assemble(['sh'], [out, ...mounts])
  t.equal(all.status, 1)
  t.match(all.stderr, 'a name that leads elsewhere')
  t.throws(() => statSync(join(out, 'evil')))
  t.throws(() => statSync(join(t.testdirName, 'evil')))
  t.equal(assemble(['sh'], []).status, 2)
})
