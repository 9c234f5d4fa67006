import type { Disk } from '../disk/disk.ts'
import type { Index, IndexDamage } from '../index/index.ts'
import type { State } from '../state/state.ts'
import { spawnWorker } from './assets.ts'
import { callable, type Thread } from './threads.ts'
import { alsoAsk } from './wear.ts'

export interface VolumeOptions {
  /** The folder that is the root of the volume; it exists. */
  readonly root: string
  /** The index's file, relative to the root, or ':memory:'; opened at once. Without it, see `openIndex`. */
  readonly index?: string
}

/** A volume whose input and output all happen in a thread of its own. */
export interface VolumeThread {
  readonly disk: Disk
  /** Opens the index, once it is known that this is the right volume. Rejects with the code `busy` when another has it. */
  openIndex(path: string): Promise<Index>
  /** Opens a state beside it, in the same way. */
  openState(path: string): Promise<State>
  /** Closes what is open and ends the thread; after it every call rejects. */
  close(): Promise<void>
  /** Tells when a call has not come back for long, once for each time that it happens, with the milliseconds. */
  whenSilent(tell: (ms: number) => void): void
  /** Ends the thread without waiting for a disk that hangs. */
  abandon(): Promise<void>
}

export async function openVolumeThread(
  options: VolumeOptions & { readonly index: string },
): Promise<VolumeThread & { readonly index: Index }>
export async function openVolumeThread(options: VolumeOptions): Promise<VolumeThread>
export async function openVolumeThread({
  root,
  index: path,
}: VolumeOptions): Promise<VolumeThread & { readonly index?: Index }> {
  const thread = callable(spawnWorker('volume.worker', { root }), root)
  let noMore = (): void => undefined
  const end = (): Promise<void> => {
    noMore()
    return thread.end()
  }
  const volume: VolumeThread = {
    disk: diskIn(thread),
    async openIndex(path) {
      await thread.call('volume', 'openIndex', [path])
      return indexIn(thread)
    },
    async openState(path) {
      await thread.call('volume', 'openState', [path])
      return stateIn(thread)
    },
    async close() {
      try {
        await thread.call('volume', 'close', [])
      } finally {
        await end()
      }
    },
    whenSilent: thread.whenSilent,
    abandon: end,
  }
  try {
    const isVolume = await thread.call('volume', 'open', [])
    // What serves no volume wears another medium. A volume is not asked: its disk may hang.
    if (!isVolume) noMore = alsoAsk(async () => Number(await thread.call('volume', 'written', [])))
    return path === undefined ? volume : { ...volume, index: await volume.openIndex(path) }
  } catch (error) {
    await end()
    throw error
  }
}

/** A call whose answer has the type that the port promises: the other side is the same port, synchronous. */
function calls<Port>(thread: Thread, port: string) {
  return <Method extends keyof Port & string>(method: Method) =>
    (...args: Args<Port[Method]>): Promise<Result<Port[Method]>> =>
      thread.call(port, method, args) as Promise<Result<Port[Method]>>
}

type Args<Method> = Method extends (...args: infer List) => Promise<unknown> ? List : never
type Result<Method> = Method extends (...args: never) => Promise<infer Value> ? Value : never

function diskIn(thread: Thread): Disk {
  const call = calls<Disk>(thread, 'disk')
  return {
    mkdir: call('mkdir'),
    memory: call('memory'),
    write: call('write'),
    read: call('read'),
    readInto: call('readInto'),
    readMedium: call('readMedium'),
    truncate: call('truncate'),
    touch: call('touch'),
    sync: call('sync'),
    rename: call('rename'),
    syncDir: call('syncDir'),
    remove: call('remove'),
    rmdir: call('rmdir'),
    list: call('list'),
    stat: call('stat'),
    free: call('free'),
    close: call('close'),
  }
}

function indexIn(thread: Thread): Index {
  const call = calls<Index>(thread, 'index')
  return {
    commit: call('commit'),
    stored: call('stored'),
    receiving: call('receiving'),
    allReceiving: call('allReceiving'),
    conflict: call('conflict'),
    withBytes: call('withBytes'),
    atPath: call('atPath'),
    list: call('list'),
    oldestProof: call('oldestProof'),
    leastProven: call('leastProven'),
    proofAges: call('proofAges'),
    summary: call('summary'),
    answer: call('answer'),
    accepted: call('accepted'),
    fact: call('fact'),
    audit: call('audit'),
    versions: call('versions'),
    tombstones: call('tombstones'),
    retained: call('retained'),
    retainedBytes: call('retainedBytes'),
    trail: call('trail'),
    damaged: call('damaged'),
    watch: async (tell) => thread.listen((told) => tell(told as IndexDamage)),
    strangers: call('strangers'),
    inspect: call('inspect'),
    close: call('close'),
  }
}

function stateIn(thread: Thread): State {
  const call = calls<State>(thread, 'state')
  return {
    get: call('get'),
    list: call('list'),
    count: call('count'),
    change: call('change'),
    close: call('close'),
  }
}
