import { Buffer } from 'node:buffer'
import type { Test } from 'tap'
import type { Line, Serial } from '../../src/serial/serial.ts'

/** Two ends of one cable, each opened by its own port. */
export interface CableUnderTest {
  readonly near: Serial
  readonly far: Serial
  readonly nearPath: string
  readonly farPath: string
  /** Ends the cable as a pulled plug does. */
  pull(): void
}

export function serialContract(
  t: Test,
  name: string,
  make: (t: Test) => Promise<CableUnderTest>,
): void {
  t.test(name, async (t) => {
    t.test('bytes of every value go both ways, in order', async (t) => {
      const cable = await make(t)
      const { near, far } = await opened(cable)
      const every = Uint8Array.from({ length: 256 }, (_, value) => value)
      const [seenFar, seenNear] = [collected(far), collected(near)]
      await near.write(every)
      await near.write(Buffer.from('Q1\r'))
      await far.write(Buffer.from('(230.1'))
      t.same(await seenFar(259), Buffer.concat([every, Buffer.from('Q1\r')]))
      t.same(await seenNear(6), Buffer.from('(230.1'))
      await near.close()
      await far.close()
    })

    t.test('one program has a line, and another may after it was closed', async (t) => {
      const cable = await make(t)
      const options = { path: cable.nearPath, baud: 9600 }
      const line = await cable.near.open(options)
      await t.rejects(cable.near.open(options))
      await line.close()
      t.equal(await line.closed, 'closed')
      await t.rejects(line.write(Buffer.from('late')))
      await line.close()
      await (await cable.near.open(options)).close()
    })

    t.test('a pulled plug ends the line, says so, and nothing can be written', async (t) => {
      const cable = await make(t)
      const { near, far } = await opened(cable)
      cable.pull()
      t.match(await near.closed, /^the line (ended|failed): ./)
      t.match(await far.closed, /^the line (ended|failed): ./)
      await t.rejects(near.write(Buffer.from('x')))
      await near.close()
    })

    t.test('what is not there cannot be opened', async (t) => {
      const { near, nearPath } = await make(t)
      await t.rejects(near.open({ path: `${nearPath}-nowhere`, baud: 9600 }), /-nowhere: ./)
    })
  })
}

const opened = async ({ near, far, nearPath, farPath }: CableUnderTest) => ({
  near: await near.open({ path: nearPath, baud: 9600 }),
  far: await far.open({ path: farPath, baud: 9600 }),
})

/** Resolves once so many bytes have come. */
function collected(line: Line): (length: number) => Promise<Buffer> {
  let seen = Buffer.alloc(0)
  let wake = (): void => undefined
  line.onBytes((bytes) => {
    seen = Buffer.concat([seen, bytes])
    wake()
  })
  return async (length) => {
    while (seen.length < length)
      await new Promise<void>((done) => {
        wake = done
      })
    return seen
  }
}
