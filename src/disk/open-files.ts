/** How a file is opened and closed; paths are those of the disk. */
export interface Opening {
  open(path: string, create: boolean): number
  close(file: number): void
}

/** Enough for the transfers of one volume; each holds a descriptor that delays an unmount. */
const openMax = 8

/**
 * The files written last stay open for a while, so that the writes, the sync and the touch of one small file cost
 * one open. Files that are only read are not kept: whoever replaced one by hand must not be answered from the old.
 */
export function openFiles({ open, close }: Opening) {
  // A Map keeps the order of insertion: the first was used longest ago.
  const files = new Map<string, number>()
  const drop = (path: string): void => {
    const file = files.get(path)
    if (file === undefined) return
    files.delete(path)
    close(file)
  }
  const known = (path: string): number | undefined => {
    const file = files.get(path)
    if (file === undefined) return undefined
    files.delete(path)
    files.set(path, file)
    return file
  }
  return {
    known,
    writable(path: string, create: boolean): number {
      const file = known(path) ?? open(path, create)
      files.set(path, file)
      const [oldest] = files.keys()
      if (files.size > openMax && oldest !== undefined) drop(oldest)
      return file
    },
    /** The name will mean another file, or nothing; a folder takes all below it along. */
    forget(path: string): void {
      for (const name of [...files.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) drop(name)
      }
    },
    forgetAll(): void {
      for (const name of [...files.keys()]) drop(name)
    },
  }
}
