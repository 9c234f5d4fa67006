// R13: a volume is checked by tools that are not ours: coreutils, and readers of BagIt (RFC 8493) by others.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import tap, { type Test, test } from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'
import { asyncDisk } from '../support/in-thread.ts'
import { needs } from '../support/needs.ts'
import { ann, bytes, owner } from './kit.ts'

const script = resolve(import.meta.dirname, '../../deploy/check.sh')
/** Of PyPI: not everywhere to be had. */
const needsPython =
  spawnSync('bagit.py', ['--version']).status === 0 ? {} : { skip: 'bagit.py: not installed' }
const ids = ['plain.txt', 'with space/and  two', '100%', 'emoji 😀', 'empty', `${'x'.repeat(300)}`]

async function bags(t: Test): Promise<{ root: string; store: Store }> {
  const root = t.testdir()
  const world = simWorld(simClock(1_700_000_000_000).clock, simRandom('bagit'), 'p1')
  const disk = asyncDisk(nodeDisk(root))
  await adoptVolume(world, disk, { ...owner, volume: 'v1' })
  const index = asyncIndex(openIndex(join(root, '.index.sqlite')))
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  t.teardown(() => store.close().catch(() => undefined))
  for (const collection of ['home', 'films'])
    for (const id of ids) {
      const content = bytes(id === 'empty' ? '' : `bytes of ${id}`)
      const file = { collection, id, size: content.length, checksum: digestOf(world, content) }
      const offer = { ...file, mtime: 1_500_000_000_000 }
      const key = collection + id
      await store.accept({ key, substance: key, request: key }, [offer])
      const incoming = await store.incoming(collection, id)
      await incoming.write(content)
      await incoming.finish(ann)
      store.release([offer])
    }
  const [gone] = await store.stored('home', ['plain.txt'])
  await store.flush()
  if (gone) await store.remove({ ...gone, version: gone.sequence }, ann)
  await store.flush()
  return { root, store }
}

/** A reader of bags by RFC 8493 and nothing else: what is wrong with this one. */
function faultsOf(bag: string): string[] {
  const found: string[] = []
  const text = (name: string): string => readFileSync(join(bag, name), 'utf8')
  const sum = (path: string): string =>
    spawnSync('sha256sum', ['--', join(bag, path)])
      .stdout.toString()
      .replace(/^\\/, '')
      .slice(0, 64)
  if (!/^BagIt-Version: 1\.0\nTag-File-Character-Encoding: UTF-8\n$/.test(text('bagit.txt')))
    found.push('bagit.txt')
  const listed = (name: string): Map<string, string> =>
    new Map(
      text(name)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [, digest, path] = /^([0-9a-f]{64})[ \t]+\*?(.+)$/.exec(line) ?? []
          if (!digest || !path) throw new Error(`no line: ${line}`)
          const plain = path.replace(/%(0[AaDd]|25)/g, (_, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          )
          return [plain, digest]
        }),
    )
  const below = (folder: string): string[] =>
    readdirSync(join(bag, folder), { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name).slice(bag.length + 1))
  const payload = listed('manifest-sha256.txt')
  const tags = listed('tagmanifest-sha256.txt')
  for (const [path, digest] of [...payload, ...tags]) if (sum(path) !== digest) found.push(path)
  for (const path of below('data')) if (!payload.has(path)) found.push(`unlisted: ${path}`)
  for (const name of ['bagit.txt', 'bag-info.txt', 'manifest-sha256.txt'])
    if (!tags.has(name)) found.push(`no digest of ${name}`)
  const sizes = below('data').map((path) => readFileSync(join(bag, path)).length)
  const oxum = `${sizes.reduce((a, b) => a + b, 0)}.${sizes.length}`
  if (!text('bag-info.txt').includes(`Payload-Oxum: ${oxum}\n`))
    found.push(`Payload-Oxum is not ${oxum}`)
  return found
}

test('[DISK-8] every collection is a bag by RFC 8493, idle and stopped', async (t) => {
  const { root, store } = await bags(t)
  for (const bag of ['home', 'films']) t.same(faultsOf(join(root, bag)), [], bag)
  const info = readFileSync(join(root, 'home/bag-info.txt'), 'utf8')
  t.match(info, 'External-Identifier: home\nBag-Group-Identifier: a1\n')
  await store.close()
  for (const bag of ['home', 'films']) t.same(faultsOf(join(root, bag)), [], bag)
  writeFileSync(join(root, 'home/data/100=25'), 'bytes of 100_')
  t.same(faultsOf(join(root, 'home')), ['data/100=25'], 'this reader sees what is wrong')
})

for (const shell of ['sh', 'bash'])
  test(
    `[DISK-8] check.sh says what is right and what is not, in ${shell}`,
    needs(tap, [shell, 'sha256sum']),
    async (t) => {
      const { root, store } = await bags(t)
      await store.close()
      const check = (...args: string[]) => {
        const { status, stdout } = spawnSync(shell, [script, ...args], { encoding: 'utf8' })
        return { status, stdout }
      }
      t.match(check(root), { status: 0, stdout: /home: 5 files checked\n$/ })
      t.match(check(join(root, 'films')), { status: 0, stdout: /films: 6 files checked\n$/ })
      const byHand = join(root, 'home/data/by hand')
      writeFileSync(byHand, 'x')
      t.match(check(root), { status: 1, stdout: /stand in no list[\s\S]*data\/by hand\n/ })
      rmSync(byHand)
      rmSync(join(root, 'home/data/empty'))
      t.match(check(root), { status: 1, stdout: /data\/empty: FAILED/ })
      writeFileSync(join(root, 'home/data/empty'), '')
      t.equal(check(root).status, 0)
      writeFileSync(join(root, 'home/mtimes.txt'), 'x')
      t.match(check(root), { status: 1, stdout: /mtimes\.txt: FAILED/ })
    },
  )

test(
  '[DISK-8] the Library of Congress reads every collection as a bag, and sees what is wrong',
  needsPython,
  async (t) => {
    const { root, store } = await bags(t)
    await store.close()
    const validate = (bag: string) => {
      const { status, stderr } = spawnSync('bagit.py', ['--validate', join(root, bag)])
      return { status, said: String(stderr) }
    }
    for (const bag of ['home', 'films'])
      t.match(validate(bag), { status: 0, said: /is valid/ }, bag)
    writeFileSync(join(root, 'home/data/100=25'), 'bytes of 100_')
    t.match(validate('home'), { status: 1, said: /data\/100=25 sha256 validation failed/ })
  },
)
