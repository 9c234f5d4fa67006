import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askLocally, socketOf, socketsOf, tellLocally } from '../../src/system/local.ts'

/** The path of a socket has at most 107 bytes. */
function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'colonnade-'))
  t.teardown(() => rmSync(made, { recursive: true }))
  return made
}

t.test('what a program tells is heard, anew each time, until it ends', async (t) => {
  const path = join(folder(t), 'agent.sock')
  t.equal(await askLocally(path), undefined)
  let files = 1
  const stop = await tellLocally(path, async () => ({ files: files++ }))
  t.same(await askLocally(path), { files: 1 })
  t.same(await askLocally(path), { files: 2 })
  await stop()
  t.equal(await askLocally(path), undefined)
})

t.test('one that was killed leaves a socket, which is no answer and in nobody’s way', async (t) => {
  const path = join(folder(t), 'agent.sock')
  writeFileSync(path, '')
  t.equal(await askLocally(path), undefined)
  const stop = await tellLocally(path, async () => 'here')
  t.equal(await askLocally(path), 'here')
  await stop()
})

t.test('a program that can not say it, or says far too much, is not waited for', async (t) => {
  const path = join(folder(t), 'agent.sock')
  const stop = await tellLocally(path, () => Promise.reject(new Error('closing')))
  t.equal(await askLocally(path), undefined)
  await stop()
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    const more = (): void => void (socket.destroyed || socket.write('x'.repeat(65_536), more))
    more()
  })
  await new Promise<void>((done) => server.listen(path, done))
  t.equal(await askLocally(path), undefined)
  server.close()
})

t.test(
  'the service has its socket where systemd says, others beside their configuration',
  async (t) => {
    const config = { ca: '/etc/colonnade/agent/ca.pem' }
    t.equal(socketOf(config), '/etc/colonnade/agent/agent.sock')
    t.equal(socketOf({ ...config, home: '/srv/attic' }), '/srv/attic/agent.sock')
    process.env.RUNTIME_DIRECTORY = '/run/colonnade-agent'
    t.teardown(() => delete process.env.RUNTIME_DIRECTORY)
    t.ok(socketsOf(config).includes(socketOf(config)))
  },
)
