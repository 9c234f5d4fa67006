// A pillar with two real disks: pulled out, mounted elsewhere, ejected, while the archive runs.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld, read } from '../../src/programs/program.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { type Archive, changeConfig, collection, makeArchive } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { until } from '../support/until.ts'

const root = resolve(import.meta.dirname, '../..')
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim()

/** A file system in a file. */
function loopDisk(t: Test, image: string): { device: string } {
  run('truncate', '-s', '64M', image)
  const device = run('losetup', '-f', '--show', image)
  t.teardown(() => {
    while (spawnSync('umount', ['-l', device]).status === 0);
    spawnSync('losetup', ['-d', device])
    rmSync(image, { force: true })
  })
  run('mkfs.ext4', '-q', '-F', device)
  return { device }
}

const mount = (device: string, at: string): void => {
  mkdirSync(at, { recursive: true })
  run('mount', device, at)
}

/** Files of the collection that lie on the disk. */
const filesAt = (at: string): string[] =>
  readdirSync(join(at, 'colonnade', collection, 'data')).sort()

interface Ground {
  readonly archive: Archive
  readonly config: string
  readonly a: string
  readonly b: string
  readonly second: string
  colonnade(...args: string[]): Promise<{ code: number | null; output: string; errors: string }>
  agent(...args: string[]): string
}

async function ground(t: Test): Promise<Ground> {
  const archive = await makeArchive(t)
  const { home } = archive
  const [a, b] = [join(home, 'mnt', 'a'), join(home, 'mnt', 'b')]
  const [first, second] = ['a', 'b'].map((name) => loopDisk(t, join(home, `${name}.img`)).device)
  if (first === undefined || second === undefined) throw new Error('no loop device')
  mount(first, a)
  mount(second, b)
  const config = join(home, 'pillar-1', 'agent.toml')
  // The path of a socket is at most 107 bytes long.
  const own = mkdtempSync(join(tmpdir(), 'disks-'))
  t.teardown(() => rmSync(own, { recursive: true, force: true }))
  changeConfig(config, {
    home: own,
    ...{ 'volume.mount': a, 'volume.search': [join(home, 'mnt')], 'volume.reserve': '1MiB' },
  })
  const values = read(config, agentShape)
  for (const at of [a, b]) await adopt(openWorld({ ...values, 'log.level': 'silent' }), values, at)
  return {
    ...{ archive, config, a, b, second },
    colonnade: async (...args) => (await archive.colonnade(args)).ended,
    agent: (...args) =>
      run(process.execPath, join(root, 'src/agent.ts'), ...args, '--config', config),
  }
}

t.test(
  '[VOL-3] [VOL-4] [VOL-7] disks are pulled out, come back elsewhere, and are ejected',
  needs(t, ['losetup', 'mkfs.ext4', 'mount'], true),
  async (t) => {
    const { archive, config, a, b, second, colonnade, agent } = await ground(t)
    const { home } = archive
    const source = join(home, 'source')
    await archive.start()
    for (let n = 0; n < 8; n++) writeNoise(join(source, `f${n}`), 300_000, n)
    const put = await colonnade('put', collection, source, '--wait', 'all')
    t.equal(put.code, 0, put.errors)
    t.equal(filesAt(a).length + filesAt(b).length, 8)
    t.ok(filesAt(a).length >= 3 && filesAt(b).length >= 3, 'both are used')
    const listed = agent('disks', 'list', '--json')
    t.type(listed, 'string')
    const looked = spawnSync(
      process.execPath,
      [join(root, 'src/agent.ts'), 'doctor', '--config', config],
      { encoding: 'utf8' },
    )
    for (const at of [a, b]) {
      t.match(looked.stdout, new RegExp(`ok +disk +volume \\S+ of pillar-1, at ${at}\n`))
      t.match(looked.stdout, new RegExp(`ok +space +${at}: .* free of `))
      t.match(looked.stdout, new RegExp(` index +${at}: `))
    }

    const says = (what: RegExp) =>
      until(String(what), async () => {
        await setTimeout(1_000)
        return what.test((await colonnade('status')).output)
      })
    const onA = filesAt(a)
    run('umount', '-l', b)
    t.ok(
      await says(/pillar-1 .*volume \S+ missing.*WARNING: volume \S+ \(missing.* is not available/),
    )
    const one = await colonnade(
      'get',
      collection,
      onA[0] ?? '',
      '--pillar',
      'pillar-1',
      '-o',
      `${home}/x`,
    )
    t.equal(one.code, 0, one.errors)
    writeNoise(join(source, 'g0'), 300_000, 90)
    const more = await colonnade('put', collection, join(source, 'g0'), '--wait', 'all')
    t.match(more, { code: 0, output: /stored/ })
    t.ok(filesAt(a).includes('g0'))
    t.same(readdirSync(b), [], 'nothing lands below')

    const elsewhere = join(home, 'mnt', 'elsewhere')
    mount(second, elsewhere)
    t.ok(await says(/pillar-1 .*OK: all is well/))
    const all = await colonnade(
      'get',
      collection,
      '--all',
      '--pillar',
      'pillar-1',
      '-o',
      `${home}/y`,
    )
    t.equal(all.code, 0, all.errors)
    t.same(snapshot(join(home, 'y')), snapshot(source))
    t.equal(filesAt(a).length + filesAt(elsewhere).length, 9, 'what came twice stands once')

    t.match(agent('eject', elsewhere), /unmounted/)
    t.ok(await says(/pillar-1 .*volume \S+ ejected/))
    t.same(readdirSync(elsewhere), [])
    const aside = join(home, 'aside')
    mount(second, aside)
    const bag = join(aside, 'colonnade', collection)
    const checked = spawnSync('sha256sum', ['-c', '--quiet', 'manifest-sha256.txt'], { cwd: bag })
    t.equal(checked.status, 0, String(checked.stderr))
    run('umount', aside)

    mount(second, b)
    t.ok(await says(/pillar-1 .*OK: all is well/))
    const verified = await colonnade('verify', collection, source)
    t.match(verified, { code: 0, output: /safe to delete: 9 of 9/ })
  },
)
