// A change that two people must want, as they see it: the order as a file, approved by the other, and run.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { confirmed } from '../../src/cli/asked.ts'
import { lsDeleted } from '../../src/cli/delete.ts'
import type { Desk } from '../../src/cli/desk.ts'
import { approve, orderDelete, orderReplace, perform, wantsTwo } from '../../src/cli/orders.ts'
import { output } from '../../src/cli/output.ts'
import { replaceEverywhere } from '../../src/cli/put-replace.ts'
import { putBatch } from '../../src/client/put.ts'
import { nodeDisk } from '../../src/disk/node.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { finish } from '../support/beside-disk.ts'
import { asyncDisk } from '../support/in-thread.ts'

const { signal } = new AbortController()

async function archive(t: Test) {
  const fleet = await startFleet({ seed: t.name, pillars: 2, copiesMin: 2 })
  const disk = asyncDisk(nodeDisk('/'))
  t.teardown(() => disk.close())
  const said: string[] = []
  const hear = (text: string): void => void said.push(text)
  const out = { ...output({ quiet: true }), line: hear, tell: hear, note: hear, warn: hear }
  await fleet.publish((document) => ({
    ...document,
    collections: document.collections.map((one) => ({ ...one, approvals: 2 })),
  }))
  const deskOf = async (name: 'ann' | 'bob'): Promise<Desk> => {
    const client = await fleet.client(name)
    await client.refresh()
    return { client, disk, out, signal }
  }
  const [ann, bob] = [await deskOf('ann'), await deskOf('bob')]
  await fleet.time.advance(5_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 2_048)
  await fleet.time.finish(putBatch(ann.client, 'home', [item], { signal }))
  const told = (): string => said.splice(0).join('\n')
  const stored = async () =>
    (await Promise.all(fleet.boards.map(({ index }) => index.stored('home', ['a.txt'])))).map(
      ([row]) => row?.checksum,
    )
  return { fleet, ann, bob, item, told, stored, folder: t.testdir({}) }
}

t.test(
  '[APR-4] delete writes an order, another one sees what it would do and signs it',
  async (t) => {
    const { fleet, ann, bob, item, told, stored, folder } = await archive(t)
    const pillar = ['pillar-1', 'pillar-2']
    t.ok(wantsTwo(ann, 'home'))
    const about = { checksum: item.checksum, pillar, note: 'it is blurred', folder }
    t.equal(orderDelete(ann, 'home', 'a.txt', about), 0)
    const [name = ''] = readdirSync(folder)
    t.match(name, /^delete-[0-9a-f]{8}\.order$/)
    const path = join(folder, name)
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.match(told(), /nothing is done yet\n.*reference [0-9a-f]{8}[\s\S]*colonnade approve FILE/)
    t.throws(
      () => orderDelete(ann, 'home', 'a.txt', { ...about, pillar: ['attic'] }),
      /attic is no pillar/,
    )
    const early = finish(fleet, perform(ann, path, undefined, {}))
    await t.rejects(early, { message: 'nobody has approved this order yet' })
    await t.rejects(
      finish(fleet, approve(ann, path, { yes: true })),
      /ann has signed this order already/,
    )
    const before = readFileSync(path, 'utf8')
    await t.rejects(finish(fleet, approve(bob, path, {})), { message: 'nothing was signed' })
    t.equal(readFileSync(path, 'utf8'), before)
    const shown = told()
    const lines = [
      'ann wants to delete in home:',
      `  a.txt (${item.checksum}, 2 KiB, on pillar-1, pillar-2)`,
      'from these pillars: pillar-1, pillar-2',
      'because: it is blurred',
      `reference ${name.slice(7, 15)}, good until `,
    ]
    for (const line of lines) t.ok(shown.includes(line), `${line} is in ${shown}`)
    t.equal(await finish(fleet, approve(bob, path, { yes: true })), 0)
    t.same(await stored(), [item.checksum, item.checksum])
    t.equal(await finish(fleet, perform(bob, path, undefined, {})), 0)
    t.same(await stored(), [undefined, undefined])
    t.match(told(), /deleted: a.txt on pillar-2/)
    t.equal(await finish(fleet, lsDeleted(ann, 'home', undefined, {})), 0)
    const changed = readFileSync(path, 'utf8').replace('a.txt', 'b.txt')
    writeFileSync(path, changed)
    await t.rejects(
      finish(fleet, approve(bob, path, { yes: true })),
      /no order, or was changed after/,
    )
    await t.rejects(
      finish(fleet, perform(ann, join(folder, 'none'), undefined, {})),
      /no such file/,
    )
  },
)

t.test('[APR-4] [MASS-3] yes is what somebody at a terminal types, and nothing else', async (t) => {
  const typed = async (text: string | undefined, isTTY = true): Promise<boolean | undefined> => {
    const input = Object.assign(new PassThrough(), { isTTY })
    const output = Object.assign(new PassThrough(), { isTTY: true })
    const asked = confirmed('All of them?\u001b[2J', signal, { input, output })
    if (text === undefined) input.end()
    else input.write(text)
    const yes = await asked
    const shown = `${output.read() ?? ''}`
    t.equal(shown.includes('\u001b[2J'), false, 'no file name steers the terminal')
    if (isTTY) t.match(shown, /All of them\?.* \[y\/N\]/)
    return yes
  }
  for (const text of ['y\n', 'Yes\n', ' YES \n']) t.equal(await typed(text), true, text)
  for (const text of ['\n', 'n\n', 'yess\n', 'no yes\n']) t.equal(await typed(text), false, text)
  t.equal(await typed(undefined), false, 'the terminal is closed')
  t.equal(await typed('y\n', false), undefined, 'a pipe is nobody')
})

t.test('[APR-4] a replace is approved with its new bytes, and with no others', async (t) => {
  const { fleet, ann, bob, item, stored, folder } = await archive(t)
  const bytes = join(folder, 'new.txt')
  writeFileSync(bytes, 'the new bytes')
  const about = { checksum: item.checksum, pillar: ['pillar-1'], folder }
  t.equal(await finish(fleet, orderReplace(ann, 'home', 'a.txt', bytes, about)), 0)
  const path = join(folder, readdirSync(folder).find((name) => name.endsWith('.order')) ?? '')
  t.equal(await finish(fleet, approve(bob, path, { yes: true })), 0)
  await t.rejects(finish(fleet, perform(ann, path, undefined, {})), /name the file with the new/)
  writeFileSync(bytes, 'other bytes !')
  await t.rejects(
    finish(fleet, perform(ann, path, bytes, { quiet: true })),
    /is not what was approved/,
  )
  t.same(await stored(), [item.checksum, item.checksum])
  writeFileSync(bytes, 'the new bytes')
  t.equal(await finish(fleet, perform(ann, path, bytes, { quiet: true })), 0)
  t.not((await stored())[0], item.checksum)
  const known = {
    ...item,
    timestamp: 0,
    provenAt: 0,
    pillars: ['pillar-2'],
    copies: [],
    differing: [],
  }
  const other = { ...item, checksum: 'f'.repeat(64) }
  const why = await replaceEverywhere(ann, 'home', other, known, { silent: [] })
  t.match(why, /two people must want it/, 'put --changed replace does not ask the pillars')
})
