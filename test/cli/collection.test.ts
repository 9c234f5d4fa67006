// Collections are added and changed by the owner, wherever his key is.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type AllowOptions, checkAllow } from '../../src/cli/allow.ts'
import { type CollectionOptions, planned } from '../../src/cli/collection.ts'
import { given } from '../../src/cli/members.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { readDocument } from '../../src/setup/archive.ts'
import { decide } from '../../src/setup/found.ts'
import { makeKeyPair } from '../../src/trust/keys.ts'
import { changeConfig, makeArchive, pillarNames } from '../support/archive.ts'
import { plainEnvironment } from '../support/program.ts'

const pillar = (name: string, site?: string, kind?: 'checksum') => ({
  ...{ name, role: 'pillar' as const, publicKey: '' },
  ...(site === undefined ? {} : { site }),
  ...(kind === undefined ? {} : { kind }),
})
const document: ArchiveDocument = {
  ...{ archive: 'a', version: 1, issuedAt: '', collections: [], exchanges: [] },
  identities: [
    ...[pillar('attic', 'home'), pillar('cellar', 'home'), pillar('friend', 'far')],
    pillar('witness', 'far', 'checksum'),
    { name: 'ann', role: 'client', publicKey: '' },
  ],
}
const old = { name: 'home', pillars: ['attic'], copiesMin: 1, algorithm: 'sha256' as const }

t.test('who keeps a collection is chosen over as many places as can be', async (t) => {
  const pillarsOf = (options: CollectionOptions) =>
    planned(document, 'home', undefined, options).pillars
  t.same(pillarsOf({ copies: 2 }), ['attic', 'friend'])
  t.same(pillarsOf({ copies: 3 }), ['attic', 'friend', 'cellar'])
  t.same(pillarsOf({}), ['attic', 'cellar', 'friend', 'witness'])
  t.same(pillarsOf({ pillar: ['attic', 'witness', 'attic'] }), ['attic', 'witness'])
  t.same(planned(document, 'home', old, { copiesMin: 1 }), old, 'what is not named stays')
  t.match(planned(document, 'home', undefined, {}), { copiesMin: 2 })
})

t.test(
  'a collection in fragments has copies of each, spread over all that keep files',
  async (t) => {
    const films = planned(document, 'films', undefined, { fragmentSize: 1 << 20 })
    t.same(films, {
      ...{
        name: 'films',
        pillars: ['attic', 'cellar', 'friend'],
        copiesMin: 2,
        algorithm: 'sha256',
      },
      fragments: { bytes: 1 << 20, copies: 2 },
    })
    t.same(planned(document, 'films', films, { copiesMin: 1 }).fragments, films.fragments)
    t.match(planned(document, 'films', films, { copies: 3 }), {
      pillars: films.pillars,
      fragments: { copies: 3 },
    })
    const refused = (known: typeof old | undefined, options: CollectionOptions) => {
      try {
        return planned(document, 'films', known, options)
      } catch (error) {
        return error
      }
    }
    t.match(refused(undefined, { fragmentSize: 1 }), { message: /a fragment has 64 KiB to 1 GiB/ })
    t.match(refused(films, { copies: 4 }), { message: /3 pillars can not keep 4 copies/ })
    t.match(refused(films, { copiesMin: 3 }), { message: /2 copies can not confirm 3 copies/ })
    t.match(refused(old, { fragmentSize: 1 << 20 }), { message: /kept as whole files/ })
  },
)

t.test('what can not be is refused, with a hint', async (t) => {
  const refused = (options: CollectionOptions, name = 'home') => {
    try {
      return planned(document, name, old, options)
    } catch (error) {
      return error
    }
  }
  t.match(refused({ copies: 4 }), { message: /3 pillars can not keep 4 copies/ })
  t.match(refused({ copies: 2, sites: 3 }), {
    message: /attic, friend stand in 2 places, not in 3/,
  })
  t.match(refused({ copiesMin: 2 }), { message: /1 pillar can not confirm 2 copies/ })
  t.match(refused({ pillar: ['attic', 'witness'], copiesMin: 2 }), { message: /1 pillar can not/ })
  t.match(refused({ pillar: ['ann'] }), { message: /ann is no pillar/, hint: /attic, cellar/ })
  t.match(refused({}, 'No Name'), { message: /no name for a collection/ })
})

t.test('[APR-1] two people, and who may be the second', async (t) => {
  const two = planned(document, 'home', old, { approvals: 2 })
  t.equal(two.approvals, 2)
  t.equal(planned(document, 'home', two, { copiesMin: 1 }).approvals, 2, 'it stays')
  t.equal(planned(document, 'home', two, { approvals: 1 }).approvals, undefined)
  t.throws(() => planned(document, 'home', old, { approvals: 3 }), /at most two people/)
  const approver = given(document, 'ann', 'home', 'approver')
  t.same(approver.approvers, [{ identity: 'ann', collection: 'home' }])
  t.equal(approver.permissions, undefined, 'what she may do beside that stays as it was')
  const curator = given(approver, 'ann', 'home', 'curator')
  t.same(curator.approvers, approver.approvers)
  const none = given(curator, 'ann', 'home', 'none')
  t.same(none.approvers, [])
  t.notOk(none.permissions?.some(({ collection }) => collection === 'home'))
})

t.test('[MASS-2] leave is given to one client, for a number and a time', async (t) => {
  const asked = (options: AllowOptions) => {
    try {
      return checkAllow(options)
    } catch (error) {
      return error
    }
  }
  t.equal(asked({ member: 'ann', changes: 500 }), undefined)
  t.equal(asked({ member: 'ann', end: true }), undefined)
  t.match(asked({ changes: 500 }), { message: /say whom/ })
  t.match(asked({ member: 'ann' }), { message: /--changes, or --end/ })
  t.match(asked({ member: 'ann', changes: 5, end: true }), { message: /or --end/ })
  const long = { member: 'ann', changes: 5, for: 32 * 24 * 3_600_000 }
  t.match(asked(long), { message: /31 days at most/ })
})

t.test('the owner adds and changes collections, and nobody else does', async (t) => {
  const archive = await makeArchive(t)
  const { home } = archive
  await archive.start()
  const run = async (...args: string[]) => (await archive.colonnade(['collection', ...args])).ended
  const owner = ['--owner-key', join(home, 'archive', 'owner.key')]
  t.match(await run('add', 'photos'), { code: 1, errors: /no owner key is at hand/ })
  mkdirSync(join(home, 'wrong'))
  const wrong = join(home, 'wrong', 'owner.key')
  writeFileSync(wrong, makeKeyPair().privateKey)
  t.match(await run('add', 'photos', '--owner-key', wrong), {
    code: 1,
    errors: /not the key of the owner/,
  })
  t.match(await run('add', 'photos', '--copies', '3', ...owner), {
    code: 0,
    output: /photos +3 pillars +whole files +safe at 2 copies/,
  })
  t.match(await run('add', 'photos', ...owner), { code: 1, errors: /already/ })
  t.match(await run('set', 'nothing', ...owner), { code: 1, errors: /no collection nothing/ })
  t.match(await run('set', 'photos', '--copies-min', '4', ...owner), { code: 2, errors: /can not/ })
  // The pillars serve it at once: they heard of the new document.
  writeFileSync(join(home, 'photo'), 'a photo')
  const put = await (await archive.colonnade(['put', 'photos', join(home, 'photo')])).ended
  t.match(put, { code: 0, output: /1 file stored/ }, put.errors)
  t.equal((await run('set', 'photos', '--retain', '90d', '--approvals', '2', ...owner)).code, 0)
  // Now one alone deletes nothing: the order goes to another computer, and comes back.
  const sum = createHash('sha256').update('a photo').digest('hex')
  const doomed = ['delete', 'photos', 'photo', '--checksum', sum, '--pillar', 'pillar-1']
  const ordered = await (await archive.colonnade(doomed)).ended
  t.match(ordered, { code: 0, output: /nothing is done yet/ }, ordered.errors)
  const order = /the order is (\S+),/.exec(ordered.output)?.[1] ?? ''
  const cli = join(import.meta.dirname, '..', '..', 'src', 'cli.ts')
  const other = ['--config', join(home, 'other', 'client.toml')]
  const child = spawn(process.execPath, [cli, 'approve', order, '--yes', ...other], {
    ...{ env: plainEnvironment(), stdio: 'ignore' },
  })
  t.same(await once(child, 'close'), [0, null])
  const performed = await (await archive.colonnade(['perform', order])).ended
  t.match(performed, { code: 0, output: /deleted: photo on pillar-1/ }, performed.errors)
  const leave = ['--member', 'client', '--changes', '500', '--for', '2h']
  t.match(await run('allow', 'photos', ...leave, ...owner), {
    code: 0,
    output: /client may change 500 files of photos a day until 20/,
  })
  // Configured once, no option is needed.
  const config = join(home, 'client', 'client.toml')
  changeConfig(config, { 'owner-key': join(home, 'archive', 'owner.key') })
  t.equal((await run('set', 'photos', '--copies-min', '3')).code, 0)
  await archive.tracker.kill('SIGKILL')
  archive.tracker.start()
  await archive.tracker.ready()
  t.match(await run('show', 'photos'), {
    code: 0,
    output: /kept for 90 days +safe at 3 copies.*\nclient may change 500 files a day until 20/,
  })
  // And the founder's tools go on from there.
  decide(home, { name: 'music', pillars: [...pillarNames], copiesMin: 1, algorithm: 'sha256' })
  const { document } = readDocument(join(home, 'archive'))
  t.same(document.collections.map(({ name }) => name).toSorted(), ['home', 'music', 'photos'])
  t.match((await run('ls')).output, /^music .*3 pillars/m)
  t.ok(readFileSync(join(home, 'tracker', 'archive-document')).length > 0)
})
