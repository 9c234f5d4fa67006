// The tracker's power is cut at every call that changes something, on the way of files to pillars.

import t from 'tap'
import type { Index } from '../../src/index/index.ts'
import { life, mortal } from '../../src/sim/mortal.ts'
import type { View } from '../../src/view/view.ts'
import { digestOf } from '../../src/world/world.ts'
import { chooserOf } from '../store/power.ts'
import { collection, distinct, type Ground, ground, type Kit, opened } from './kit.ts'

interface Promised {
  /** Acknowledged: these bytes under this id, or none. */
  readonly files: Map<string, Uint8Array | undefined>
  /** Asked for and not answered yet: one of these. */
  readonly open: Map<string, readonly (Uint8Array | undefined)[]>
}

const [one, two, three] = ['one', 'two', 'three'].map((salt) => distinct(250, salt)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
]
const none = new Uint8Array(0)

/** Can be run again after any end, and goes on then. */
async function work(kit: Kit, { files, open }: Promised): Promise<void> {
  const step = async (
    id: string,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
    change: () => Promise<string>,
  ): Promise<void> => {
    if (files.has(`${id} ${step.count}`)) return void step.count++
    open.set(id, [from, to])
    files.delete(id)
    const outcome = await change()
    if (!['stored', 'held', 'removed'].includes(outcome)) throw new Error(`${id}: ${outcome}`)
    open.delete(id)
    files.set(id, to)
    files.set(`${id} ${step.count}`, to)
    step.count++
  }
  step.count = 0
  await step('a/b', undefined, one, () => kit.put('a/b', one))
  await step('empty', undefined, none, () => kit.put('empty', none))
  await step('twin', undefined, one, () => kit.put('twin', one))
  await step('a/b', one, two, async () => {
    const [row] = await kit.vault.stored(collection, ['a/b'])
    const done = row?.checksum === digestOf(kit.world, two)
    return done ? kit.put('a/b', two) : kit.replace('a/b', one, two)
  })
  await step('twin', one, undefined, () => kit.remove('twin', one))
  await step('c', undefined, three, () => kit.put('c', three))
}

interface Cut {
  readonly at: number
  readonly how: string
}

/** Runs until it ends, or until the power goes; how many calls it made that change something. */
async function boot(on: Ground, cut: Cut | undefined, program: (kit: Kit) => Promise<void>) {
  const own = life()
  let calls = 0
  const over = new Promise<void>((resolve) => {
    on.sim.onCall(() => {
      calls++
      if (calls !== cut?.at) return
      on.sim.cut()
      resolve()
    })
  })
  const powered = <Port extends Index | View>(port: Port, change: string): Port =>
    new Proxy(port, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name)
        if (typeof method !== 'function') return method
        return (...args: unknown[]) => {
          const call = () => Reflect.apply(method, target, args) as unknown
          return name === change ? on.sim.during('commit', change, () => void call()) : call()
        }
      },
    })
  const start = async (): Promise<void> => {
    const kit = await opened({
      ...on,
      sim: { ...on.sim, disk: mortal(own, on.sim.disk) },
      index: mortal(own, powered(on.index, 'commit')),
      view: mortal(own, powered(on.view, 'change')),
    })
    await program(kit)
  }
  await Promise.race([start(), over])
  own.die()
  on.sim.onCall(undefined)
  if (cut) on.sim.crash(chooserOf(cut.how))
  return calls
}

/** What pillars alone could give back of a row; with the text that tells of it only when it must be there, too. */
async function onPillars(
  { view, pillars, world }: Ground,
  id: string,
  text = true,
): Promise<boolean> {
  const entry = await view.entry(collection, id)
  const copies = (hash: string): number =>
    [...pillars.held.values()].filter((some) => {
      const bytes = some.get(hash)
      return bytes && digestOf(world, bytes) === hash
    }).length
  if (!entry || (text && copies(entry.fragment.hash) < 2)) return false
  const sum = /^sha256 (.*)$/m.exec(entry.text)?.[1]
  const slices = [...entry.text.matchAll(/^fragment ([0-9a-f]+) /gm)].map(([, hash]) => hash ?? '')
  return sum !== undefined && slices.every((hash) => copies(hash) >= 2)
}

async function broken(on: Ground, { files, open }: Promised): Promise<string[]> {
  const found: string[] = []
  const sumOf = (bytes: Uint8Array | undefined) => bytes && digestOf(on.world, bytes)
  for (const [id, bytes] of files) {
    if (id.includes(' ')) continue
    const [row] = await on.index.stored(collection, [id])
    if (row?.checksum !== sumOf(bytes)) found.push(`${id} was acknowledged and is not so`)
    else if (!(await onPillars(on, id))) found.push(`${id} was acknowledged and is not safe`)
  }
  for (const [id, either] of open) {
    const [row] = await on.index.stored(collection, [id])
    if (!either.some((bytes) => sumOf(bytes) === row?.checksum)) found.push(`${id} is neither`)
    const here = row && on.sim.snapshot().get(`${collection}/data/${row.path}`)
    const whole = here && digestOf(on.world, here) === row.checksum
    // The bytes of the twin need not have come: then only the text that tells of it may be missing.
    const isSafe = await onPillars(on, id, id !== 'twin')
    if (row && !whole && !isSafe) found.push(`${id} left before it was safe`)
  }
  return found
}

async function history(cuts: readonly Cut[]): Promise<string[]> {
  const on = await ground()
  const promised: Promised = { files: new Map(), open: new Map() }
  const found: string[] = []
  for (const cut of cuts) {
    await boot(on, cut, (kit) => work(kit, promised))
    found.push(...(await broken(on, promised)))
  }
  await boot(on, undefined, async (kit) => {
    await work(kit, promised)
    found.push(...(await broken(on, promised)))
    await kit.time.advance(60_000)
    const left = kit.here()
    if (left.length > 0) found.push(`${left.join()} is still here`)
    for (const [id, bytes] of promised.files)
      if (!id.includes(' ') && (await kit.read(id)) !== (bytes && Buffer.from(bytes).toString()))
        found.push(`${id} does not come back`)
    await kit.stop()
  })
  return found.map((what) => `${what} ${JSON.stringify(cuts)}`)
}

t.test(
  '[VAULT-2] wherever the power is cut, what was acknowledged is safe and nothing left before',
  async (t) => {
    const on = await ground()
    const calls = await boot(on, undefined, (kit) =>
      work(kit, { files: new Map(), open: new Map() }),
    )
    const found: string[] = []
    let histories = 0
    for (let at = 1; at <= calls; at++)
      for (const how of ['lost', 'kept']) {
        found.push(...(await history([{ at, how }])))
        histories++
      }
    // And again, in the start after it.
    for (let at = 3; at <= calls; at += 11)
      for (let next = 2; next <= 30; next += 9) {
        found.push(
          ...(await history([
            { at, how: 'kept' },
            { at: next, how: 'nameless' },
          ])),
        )
        histories++
      }
    t.comment(`${histories} histories of ${calls} calls`)
    t.same(found.slice(0, 5), [])
    t.ok(calls > 80)
  },
)
