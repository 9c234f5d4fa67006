/** A volume opened as the agent does it, in a process of its own: says how long that took, and what it knows. See million.ts. */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readIdentity } from '../../src/store/identity.ts'
import { openSoundIndex } from '../../src/store/sound-index.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { systemWorld } from '../../src/system/world.ts'

const [root = '', what] = process.argv.slice(2)
const owner = { pillar: 'p1', archive: 'a1' }

async function run(): Promise<void> {
  const began = performance.now()
  const world = systemWorld('p1', 'silent')
  const thread = await openVolumeThread({ root })
  const { disk } = thread
  const identity = await readIdentity(disk, owner)
  const index = await openSoundIndex({
    ...{ world, disk, identity, open: thread.openIndex },
    lost: () => undefined,
  })
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  const opened = performance.now()
  const [summary] = await store.summary()
  await store.space()
  const known = performance.now()
  tell({
    openMs: Math.round(opened - began),
    statusMs: Math.round(known - opened),
    files: summary?.files ?? 0,
    rssAnon: rssAnon(),
  })
  if (what === 'write') await Promise.all([0, 1, 2, 3].map((n) => write(store, n)))
  if (what === 'inspect') {
    const from = performance.now()
    await store.inspect()
    tell({ inspectMs: Math.round(performance.now() - from), rssAnon: rssAnon() })
  }
  await store.close()
  process.exit(0)
}

/** Until it is killed. */
async function write(store: Store, writer: number): Promise<void> {
  for (let n = 0; ; n++) {
    const id = `load/${writer}/${process.pid}/${n}`
    const bytes = randomBytes(1_000)
    const checksum = createHash('sha256').update(bytes).digest('hex')
    const file = { collection: 'home', id, size: bytes.length, checksum, mtime: 1_600_000_000_000 }
    await store.accept({ key: id, substance: id, request: id }, [file])
    const incoming = await store.incoming('home', id)
    await incoming.write(new Uint8Array(bytes))
    await incoming.finish({ actor: 'ann', conversation: id })
    store.release([file])
    if (n === 100) tell({ writing: true })
  }
}

const tell = (about: object): void => void process.stdout.write(`${JSON.stringify(about)}\n`)

const rssAnon = (): number =>
  1024 * Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])

void run()
