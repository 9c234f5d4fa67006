import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { test } from 'tap'
import { DiskError } from '../../src/disk/disk.ts'
import { asset } from '../../src/system/assets.ts'
import { callable } from '../../src/system/threads.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'

const root = resolve(import.meta.dirname, '../..')
const { NODE_OPTIONS: _, ...env } = process.env

/** Runs a script of ours in a process of its own, in a folder that has nothing to do with the project. */
function run(script: string, cwd: string) {
  return spawnSync(process.execPath, [script], { env, cwd, encoding: 'utf8', timeout: 60_000 })
}

test('an idle volume does not keep the process alive, a call under way does', async (t) => {
  const dir = t.testdir()
  const source = JSON.stringify(join(root, 'src/system/volume-thread.ts'))
  const script = `import { openVolumeThread } from ${source}
    const { disk } = await openVolumeThread({ root: ${JSON.stringify(dir)}, index: ':memory:' })
    disk.write('late', 0, new Uint8Array(10)).then(() => console.log('written'))`
  const path = join(dir, 'script.mjs')
  writeFileSync(path, script)
  const { stdout, stderr, status } = spawnSync(process.execPath, [path], {
    env,
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  })
  t.strictSame([stdout, stderr, status], ['written\n', '', 0])
})

test('a process does not end while it waits for a volume to close', async (t) => {
  const dir = t.testdir()
  const source = JSON.stringify(join(root, 'src/system/volume-thread.ts'))
  const script = `import { openVolumeThread } from ${source}
    const again = async () => {
      for (let n = 0; n < 20; n++) {
        const { disk, close } = await openVolumeThread({ root: ${JSON.stringify(dir)} })
        await disk.write('large', 0, new Uint8Array(5_000_000))
        const ask = () => void disk.read('large', 0, 1 << 20).catch(() => undefined)
        for (let k = 0; k < 5; k++) ask()
        const closing = close()
        // Nobody waits for these any more; their answers come while the thread ends.
        for (let k = 0; k < 40; k++) ask()
        await closing
      }
      process.exitCode = 7
    }
    void again()`
  const path = join(dir, 'script.mjs')
  writeFileSync(path, script)
  const { stderr, status } = spawnSync(process.execPath, [path], {
    env,
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  })
  t.strictSame([stderr, status], ['', 7])
})

test('after the end of its thread a volume refuses with EIO, under way or later', async (t) => {
  const volume = await openVolumeThread({ root: t.testdir() })
  const pending = volume.disk.write('a', 0, new Uint8Array(5_000_000))
  const refused = t.rejects(pending, { code: 'EIO' })
  await volume.abandon()
  await refused
  await t.rejects(volume.disk.stat('a'), { code: 'EIO' })
})

test('a thread that dies by itself fails its calls instead of leaving them waiting', async (t) => {
  for (const code of ['process.exit(3)', 'throw new Error("broken")']) {
    const text = `require('node:worker_threads').parentPort.on('message', () => { ${code} })`
    const thread = callable(new Worker(text, { eval: true, execArgv: [] }), 'a volume')
    await t.rejects(thread.call('disk', 'stat', ['a']), { name: 'DiskError', code: 'EIO' })
    await t.rejects(thread.call('disk', 'stat', ['a']), { code: 'EIO' })
    await thread.end()
  }
})

test('a closed volume frees its index for another', async (t) => {
  const dir = t.testdir()
  const first = await openVolumeThread({ root: dir, index: '.index.sqlite' })
  const opening = openVolumeThread({ root: dir, index: '.index.sqlite' })
  const error: unknown = await opening.catch((reason: unknown) => reason)
  t.strictSame(error, new DiskError('busy', 'another agent is using this volume'))
  await first.close()
  t.strictSame(readdirSync(dir), ['.index.sqlite'])
  const second = await openVolumeThread({ root: dir, index: '.index.sqlite' })
  await second.close()
})

test('a volume that is not there is refused with the errno', async (t) => {
  const opening = openVolumeThread({ root: join(t.testdir(), 'absent') })
  await t.rejects(opening, { name: 'DiskError', code: 'ENOENT' })
})

test('an index is never opened below a mount that is gone', async (t) => {
  const dir = t.testdir({ mount: {} })
  const mount = join(dir, 'mount')
  const volume = await openVolumeThread({ root: mount })
  t.teardown(volume.close)
  renameSync(mount, join(dir, 'elsewhere'))
  mkdirSync(mount)
  await t.rejects(volume.openIndex('.index.sqlite'), { code: 'ENODEV' })
})

test('a mistake of ours stays an ordinary error across threads', async (t) => {
  const { index, close } = await openVolumeThread({ root: t.testdir(), index: ':memory:' })
  t.teardown(close)
  const file = { collection: 'c', id: 'a', size: 0.5, checksum: '', mtime: 0, path: 'a' }
  const change = { do: 'receive', file: { ...file, safe: 0, since: 0 } } as const
  const error: unknown = await index.commit([change]).catch((reason: unknown) => reason)
  t.match(error, { name: 'Error', message: /REAL value/ })
})

test('assets are read from the project', async (t) => {
  t.match(asset('package.json'), /"colonnade"/)
})

test('a bundle carries the code of its threads', async (t) => {
  const dir = t.testdir({ volume: {} })
  const bundle = async (entry: string, banner = '') => {
    const common = { bundle: true, platform: 'node', format: 'cjs', write: false } as const
    const built = await build({ ...common, entryPoints: [entry], banner: { js: banner } })
    return built.outputFiles[0]?.text ?? ''
  }
  writeFileSync(
    join(dir, 'main.ts'),
    `import { openVolumeThread } from ${JSON.stringify(join(root, 'src/system/volume-thread.ts'))}
    async function main() {
      const volume = await openVolumeThread({ root: ${JSON.stringify(join(dir, 'volume'))}, index: 'i' })
      await volume.disk.write('a', 0, new Uint8Array(7))
      console.log((await volume.disk.stat('a')).size, (await volume.index.summary()).length)
      await volume.close()
    }
    main()`,
  )
  const assets = { 'volume.worker': await bundle(join(root, 'src/disk/volume.worker.ts')) }
  const banner = `const COLONNADE_ASSETS = ${JSON.stringify(assets)};`
  writeFileSync(join(dir, 'bundle.cjs'), await bundle(join(dir, 'main.ts'), banner))
  const { stdout, stderr } = run(join(dir, 'bundle.cjs'), '/')
  t.strictSame([stdout, stderr], ['7 0\n', ''])
})
