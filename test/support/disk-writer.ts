/**
 * A volume in a process of its own, as the agent opens it, under four writers of small files. Says a line of JSON for each
 * thing that happens: `up`, `stored`, `failed`, `news`, and `beat` as long as the program itself lives.
 * disk-writer.ts ROOT PREFIX BYTES; several roots, with a colon between, are the disks of one pillar.
 */
import { createHash, randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { setInterval } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { openDisks } from '../../src/programs/disks.ts'
import { readIdentity } from '../../src/store/identity.ts'
import { openSoundIndex } from '../../src/store/sound-index.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import type { AgentConfig } from '../../src/system/config-shapes.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { systemWorld } from '../../src/system/world.ts'

const [root = '', prefix = '', size = '2000'] = process.argv.slice(2)
const owner = { pillar: 'p1', archive: 'a1' }
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`)

const world = systemWorld('p1', 'silent')
const lost = (text: string): void => say({ news: text })

/** As the agent has them: the table of mounts is watched. */
async function pool(roots: readonly string[]): Promise<Store> {
  const mounts = roots.map((one) => dirname(one))
  const [mount = ''] = mounts
  const config: Partial<AgentConfig> = {
    ...{ name: owner.pillar, archive: owner.archive, kind: 'file', 'volume.reserve': 0 },
    ...{ 'volume.mount': mount, 'volume.mounts': mounts, 'volume.search': [] },
  }
  return (await openDisks(world, config as AgentConfig, lost)).pool
}

async function alone(): Promise<Store> {
  const thread = await openVolumeThread({ root })
  const { disk } = thread
  const identity = await readIdentity(disk, owner)
  const index = await openSoundIndex({ world, disk, identity, open: thread.openIndex, lost })
  return openVolume(world, disk, index, {
    ...{ ...owner, reserveBytes: 0 },
    whenSilent: thread.whenSilent,
  })
}

async function run(): Promise<void> {
  const began = performance.now()
  const roots = root.split(':')
  const store = await (roots.length > 1 ? pool(roots) : alone())
  store.watch(({ text }) => say({ news: text }))
  say({ up: Math.round(performance.now() - began) })
  setInterval(() => say({ beat: Date.now() }), 200)
  let over = false
  process.on('SIGTERM', () => {
    over = true
  })
  await Promise.all([0, 1, 2, 3].map((n) => write(store, `${prefix}/${n}`, () => over)))
  await store.close().catch((error) => say({ failed: String(error) }))
  process.exit(0)
}

/** One file after the other, until it is over or the volume takes no more. */
async function write(store: Store, name: string, over: () => boolean): Promise<void> {
  for (let n = 0; !over(); n++) {
    const id = `${name}/${n}`
    const bytes = randomBytes(Number(size))
    const checksum = createHash('sha256').update(bytes).digest('hex')
    const file = { collection: 'home', id, size: bytes.length, checksum, mtime: 1_600_000_000_000 }
    try {
      const [standing] = await store.accept({ key: id, substance: id, request: id }, [file])
      if (standing?.is !== 'welcome') throw new Error(`${standing?.is}`)
      const incoming = await store.incoming('home', id)
      await incoming.write(new Uint8Array(bytes))
      await incoming.finish({ actor: 'ann', conversation: id })
      say({ stored: id, checksum })
    } catch (error) {
      say({ failed: String(error) })
      if (store.trouble() !== undefined) break
      await setTimeout(50)
    }
    store.release([file])
  }
}

void run().catch((error) => {
  say({ failed: String(error) })
  process.exit(1)
})
