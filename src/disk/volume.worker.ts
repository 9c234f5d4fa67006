import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { openIndex, type SyncIndex } from '../index/sqlite.ts'
import { openSyncState, type SyncState } from '../state/sqlite.ts'
import { failureOf, handedOver, type ThreadCall, type ThreadReply } from '../system/threads.ts'
import { writtenHere } from '../system/wear.ts'
import { DiskError } from './disk.ts'
import { type NodeDisk, nodeDisk } from './node.ts'

/** All input and output of one volume, one call after the other: a disk that hangs stalls only this thread. */
function serve(root: string): void {
  let disk: NodeDisk | undefined
  let index: SyncIndex | undefined
  let state: SyncState | undefined

  const opened = <Port>(port: Port | undefined): Port => {
    if (port === undefined) throw new DiskError('EBADF', 'not open')
    return port
  }
  /** SQLite knows paths only: they must lead to the file system that was opened, not to one below it. */
  const placeOf = (path: string): string => {
    if (!opened(disk).atRoot()) throw new DiskError('ENODEV', `${root} is not what was opened`)
    return path === ':memory:' ? path : join(root, path)
  }
  const volume = {
    /** Whether files are kept here; else it is an index that is kept apart from its disk. */
    open(): boolean {
      disk = nodeDisk(root)
      return disk.stat('volume.json') !== undefined
    },
    written: writtenHere,
    openIndex(path: string): void {
      index = openIndex(placeOf(path))
      index.watch((told) => parentPort?.postMessage({ told } satisfies ThreadReply))
    },
    openState(path: string): void {
      state = openSyncState(placeOf(path))
    },
    close(): void {
      state?.close()
      index?.close()
      disk?.close()
      state = undefined
      index = undefined
      disk = undefined
    },
  }
  const ports: Record<string, () => object> = {
    volume: () => volume,
    disk: () => opened(disk),
    index: () => opened(index),
    state: () => opened(state),
  }

  parentPort?.on('message', ({ id, port, method, args }: ThreadCall) => {
    let reply: ThreadReply
    try {
      const target = ports[port]?.()
      const work: unknown = target && Reflect.get(target, method)
      if (typeof work !== 'function') throw new Error(`no method ${port}.${method}`)
      reply = { id, value: work(...args) }
    } catch (error) {
      reply = { id, failure: failureOf(error) }
    }
    // Freed at once: a heap as small as this thread's would collect them only by the hundred.
    for (const spent of handedOver(args)) spent.transfer(0)
    parentPort?.postMessage(reply, 'value' in reply ? handedOver([reply.value]) : [])
  })
}

serve(workerData.root)
