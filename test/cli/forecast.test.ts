// How long it will take, before it begins.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { forecast, linkMemory } from '../../src/cli/forecast.ts'

const folder = mkdtempSync(join(tmpdir(), 'forecast-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

t.test(
  'a long transfer is foretold by the limit, or by what the link carried the last time',
  async (t) => {
    const unlimited = linkMemory(join(folder, 'a.json'), undefined)
    t.equal(forecast(unlimited, 'put', 1e12), undefined, 'nothing is known yet')
    const limited = linkMemory(join(folder, 'a.json'), 750_000)
    t.equal(
      forecast(limited, 'put', 1.2e12),
      '1.1 TiB to put: about 18 d 12 h, by the limit of 6 Mbit/s',
    )
    t.equal(forecast(limited, 'put', 75e6), undefined, 'what is over in 100 s needs no sentence')
    unlimited.remember('put', 60e6, 20_000)
    t.equal(
      forecast(unlimited, 'put', 36e9),
      '34 GiB to put: about 3 h 20 min, as fast as the last time',
    )
    t.equal(
      forecast(unlimited, 'get', 36e9),
      undefined,
      'the other direction may have another rate',
    )
    t.match(forecast(limited, 'put', 36e9), /about 13 h 20 min, by the limit/, 'the slower of both')
  },
)

t.test(
  'what was too short to tell anything is not remembered, nor does a broken file matter',
  async (t) => {
    const path = join(folder, 'b.json')
    const memory = linkMemory(path, undefined)
    memory.remember('get', 60e6, 9_000)
    memory.remember('get', 1e6, 90_000)
    t.equal(memory.last('get'), undefined)
    for (const text of ['', 'null', '[1]', '{"get":-1}', '{"get":"fast"}', '{"get":1e999}']) {
      writeFileSync(path, text)
      t.equal(memory.last('get'), undefined, text)
    }
    memory.remember('get', 60e6, 10_000)
    memory.remember('put', 30e6, 10_000)
    t.strictSame([memory.last('get'), memory.last('put')], [6e6, 3e6])
    linkMemory(join(folder, 'no', 'such', 'folder'), undefined).remember('get', 60e6, 10_000)
  },
)
