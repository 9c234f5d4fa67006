// [PRS-1] A board is thrown away, and another takes its disk and its name: nothing of what is on the disk is sent again.

import { mkdirSync, rmSync } from 'node:fs'
import t from 'tap'
import { freePort } from '../support/meter.ts'
import { replaceBoard } from '../support/replaced.ts'

t.test('a new board goes on with the disk of the old one, and fetches nothing', async (t) => {
  const home = t.testdirName
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const ports = [await freePort(), await freePort()] as const
  const tell = (what: string): void => t.comment(what)
  const files = 1_000
  const found = await replaceBoard({ home, files, ports, nodeOptions: [], tell })
  t.match(found.verdict, /^Safe: 1.?000 files, 3 copies/)
  t.equal(found.stored, 0)
  t.equal(found.touched, 0)
  t.comment(`${Math.round(found.ms)} ms, ${Math.round(found.enrolledMs)} of them to enrol`)
})
