import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'

const root = resolve(import.meta.dirname, '..')
const launcher = join(root, 'scripts', 'node.mjs')

function launch(
  args: string[],
  options: { cwd?: string; launcher?: string; first?: string[] } = {},
) {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(
    process.execPath,
    [...(options.first ?? []), options.launcher ?? launcher, ...args],
    { cwd: options.cwd ?? root, env, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code, signal], stdout, stderr]) => ({ code, signal, stdout, stderr }),
  )
  return { child, ended }
}

// A script that says when it is ready, so that a signal cannot come too early.
function script(t: Test, body: string) {
  const path = join(t.testdir({ 'script.ts': body }), 'script.ts')
  const running = launch([path])
  return { ...running, ready: once(running.child.stdout, 'readable') }
}

t.test('Node.js 24.21.0 runs the script, with its folder first on PATH', async (t) => {
  const code = 'process.version + " " + process.env.PATH.split(":")[0] + " " + process.execPath'
  const { stdout } = await launch(['-p', code]).ended
  const [version, first, binary = ''] = stdout.trim().split(' ')
  t.equal(version, 'v24.21.0')
  t.equal(first, dirname(binary))
})

t.test('arguments and the exit code come through', async (t) => {
  const file = join(
    t.testdir({ 'a.ts': 'console.log(JSON.stringify(process.argv.slice(2)))\nprocess.exit(7)\n' }),
    'a.ts',
  )
  const result = await launch([file, 'a b', '', '--once']).ended
  t.equal(result.stdout, '["a b","","--once"]\n')
  t.equal(result.code, 7)
})

t.test('a relative script is one of the project, wherever the user is', async (t) => {
  const copy = t.testdir({ scripts: {}, src: { 'here.ts': 'console.log(process.cwd())\n' } })
  copyFileSync(launcher, join(copy, 'scripts', 'node.mjs'))
  const options = { cwd: tmpdir(), launcher: join(copy, 'scripts', 'node.mjs') }
  t.equal((await launch(['src/here.ts'], options).ended).stdout, `${realpathSync(tmpdir())}\n`)
  t.equal((await launch(['--no-warnings', 'src/here.ts'], options).ended).code, 0)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  t.test(`${signal} reaches the script once, and its exit code counts`, async (t) => {
    const { child, ended, ready } = script(
      t,
      `process.on('${signal}', () => {
        console.log('got ${signal}')
        setTimeout(() => process.exit(5), 200)
      })
      console.log('ready')
      setInterval(() => {}, 1000)\n`,
    )
    await ready
    child.kill(signal)
    const result = await ended
    t.equal(result.stdout, `ready\ngot ${signal}\n`)
    t.equal(result.code, 5)
  })
}

t.test('a script ended by a signal ends the launcher by the same signal', async (t) => {
  const { child, ended, ready } = script(t, `console.log('ready')\nsetInterval(() => {}, 1000)\n`)
  await ready
  child.kill('SIGTERM')
  const result = await ended
  t.equal(result.code, null)
  t.equal(result.signal, 'SIGTERM')
})

t.test('without the brought Node.js', async (t) => {
  const copy = t.testdir({ scripts: {} })
  const lonely = join(copy, 'scripts', 'node.mjs')
  copyFileSync(launcher, lonely)

  t.test('a fitting one that runs the launcher will do', async (t) => {
    const { stdout } = await launch(['-p', 'process.execPath'], { launcher: lonely }).ended
    t.equal(stdout.trim(), process.execPath)
  })

  t.test('an older one gets one sentence and a hint', async (t) => {
    const old = join(copy, 'old.cjs')
    writeFileSync(
      old,
      `Object.defineProperty(process, 'version', { value: 'v20.20.2' })
       Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } })\n`,
    )
    const result = await launch(['-p', '1'], { launcher: lonely, first: ['--require', old] }).ended
    t.equal(result.code, 1)
    t.equal(result.stdout, '')
    t.match(
      result.stderr,
      /^Node\.js 24\.21 is not installed here and this is Node\.js v20\.20\.2\.\n/,
    )
    t.match(result.stderr, /npm ci.*linux x64 and linux arm64/)
  })
})
