// What a build must do besides making the programs: see test/real/binaries.test.ts for those.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { staged } from '../scripts/build/binary.ts'

const script = resolve(import.meta.dirname, '../scripts/build/binary.ts')

t.test('builds go one after the other; one that was killed is in nobody’s way', async (t) => {
  const code = `
    const { writeFileSync } = await import('node:fs')
    const { staged } = await import(${JSON.stringify(script)})
    await staged(async (stage) => {
      writeFileSync(stage + '/left', '')
      console.log('building')
      await new Promise((done) => setTimeout(done, 600_000))
    })`
  const first = spawn(process.execPath, ['--input-type=module', '-e', code])
  t.teardown(() => first.kill('SIGKILL'))
  await once(first.stdout, 'data')
  let second: string | undefined
  const building = staged(async (stage) => {
    second = existsSync(join(stage, 'left')) ? 'among leftovers' : 'alone'
  })
  await new Promise((done) => setTimeout(done, 500))
  t.equal(second, undefined, 'the second waits')
  first.kill('SIGKILL')
  await building
  t.equal(second, 'alone')
})
