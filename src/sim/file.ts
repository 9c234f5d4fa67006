/** Answers each open question of a crash: a whole number in [0, `options`); 0 keeps the least. */
export type Chooser = (options: number, about: string) => number

/** What a power cut leaves whole or loses whole, in bytes. */
const sectorBytes = 512

interface Content {
  /** Room for more than `size`; zero beyond it. */
  bytes: Uint8Array
  size: number
  mtime: number
}

/** One change of a file. */
export type Step =
  | { readonly do: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly do: 'truncate'; readonly size: number }
  | { readonly do: 'touch'; readonly mtime: number }

/** A file as the process sees it, and as much of it as would survive a power cut. */
export interface SimFile {
  readonly kind: 'file'
  size(): number
  mtime(): number
  read(offset: number, length: number): Uint8Array
  change(step: Step): void
  /** Everything so far survives. */
  sync(): void
  /** The kernel has given up: what was not synced is seen as before, but will never reach the disk by itself. */
  giveUp(): void
  /** The power is cut: the file becomes what was synced and what else the chooser lets through. */
  crash(choose: Chooser, path: string): void
  /** One bit turns over on the disk, and nothing notices. */
  rot(offset: number): void
  /** Another one that has come to the same. */
  copy(): SimFile
}

interface History {
  readonly seen: Content
  readonly kept: Content
  readonly pending: readonly Step[]
}

export function simFile(mtime: number, history?: History): SimFile {
  let seen: Content = history?.seen ?? { bytes: new Uint8Array(0), size: 0, mtime }
  const kept: Content = history?.kept ?? copyOf(seen)
  let pending: Step[] = [...(history?.pending ?? [])]
  return {
    copy: () => simFile(mtime, { seen: copyOf(seen), kept: copyOf(kept), pending }),
    kind: 'file',
    size: () => seen.size,
    mtime: () => seen.mtime,
    read: (offset, length) => seen.bytes.slice(offset, Math.min(seen.size, offset + length)),
    change(step) {
      apply(seen, step)
      pending.push(step)
    },
    sync() {
      for (const step of pending) apply(kept, step)
      pending = []
    },
    giveUp() {
      pending = []
    },
    crash(choose, path) {
      if (pending.length > 0) survive(kept, pending, choose, path)
      pending = []
      seen = copyOf(kept)
    },
    rot(offset) {
      for (const content of [seen, kept]) {
        if (offset < content.size) content.bytes[offset] = (content.bytes[offset] ?? 0) ^ 1
      }
    },
  }
}

const copyOf = ({ bytes, size, mtime }: Content): Content => ({
  bytes: bytes.slice(0, size),
  size,
  mtime,
})

function apply(content: Content, step: Step): void {
  if (step.do === 'touch') content.mtime = step.mtime
  else if (step.do === 'truncate') resize(content, step.size)
  else {
    const end = step.offset + step.bytes.length
    if (end > content.size) resize(content, end)
    content.bytes.set(step.bytes, step.offset)
  }
}

function resize(content: Content, size: number): void {
  if (size > content.bytes.length) {
    const roomier = new Uint8Array(Math.max(size, 2 * content.bytes.length))
    roomier.set(content.bytes.subarray(0, content.size))
    content.bytes = roomier
  }
  if (size < content.size) content.bytes.fill(0, size, content.size)
  content.size = size
}

/** Lost, torn at one place, scattered (sectors and size in any order), or all there. */
function survive(kept: Content, pending: readonly Step[], choose: Chooser, path: string): void {
  const outcome = choose(4, `bytes of ${path}`)
  if (outcome === 1) tear(kept, pending, choose, path)
  if (outcome === 2) scatter(kept, pending, choose, path)
  if (outcome === 3) for (const step of pending) apply(kept, step)
}

function tear(kept: Content, pending: readonly Step[], choose: Chooser, path: string): void {
  const until = choose(pending.length, `last step of ${path}`)
  for (const step of pending.slice(0, until)) apply(kept, step)
  const last = pending[until]
  if (last?.do !== 'write') return
  const sectors = sectorsOf(last)
  const whole = choose(sectors.length + 1, `sectors of ${path}`)
  for (const sector of sectors.slice(0, whole)) apply(kept, sector)
}

function scatter(kept: Content, pending: readonly Step[], choose: Chooser, path: string): void {
  const sizes = [kept.size]
  const whole = copyOf(kept)
  for (const step of pending) {
    apply(whole, step)
    if (whole.size !== sizes.at(-1)) sizes.push(whole.size)
    for (const part of step.do === 'write' ? sectorsOf(step) : [step]) {
      if (choose(2, `a sector of ${path}`) === 1) apply(kept, part)
    }
  }
  resize(kept, sizes[choose(sizes.length, `size of ${path}`)] ?? kept.size)
}

/** The parts of a write that reach the disk one by one. */
function sectorsOf({ offset, bytes }: Extract<Step, { do: 'write' }>): Step[] {
  const parts: Step[] = []
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + sectorBytes - ((offset + from) % sectorBytes))
    parts.push({ do: 'write', offset: offset + from, bytes: bytes.subarray(from, to) })
    from = to
  }
  return parts
}
