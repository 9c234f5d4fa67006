import type { Chooser, SimFile } from './file.ts'

export interface SimFolder {
  readonly kind: 'folder'
  /** As the process sees it. */
  readonly seen: Map<string, SimNode>
  /** What would survive a power cut for certain. */
  readonly kept: Map<string, SimNode>
  /** Where this folder survives; none when its own name was never synced. */
  keptIn: SimFolder | undefined
  mtime: number
}

export type SimNode = SimFile | SimFolder

/** A name is set, or removed when there is no node. */
interface Effect {
  readonly folder: SimFolder
  readonly name: string
  readonly node: SimNode | undefined
}

/** Something that happened to names, as one: a rename has two effects, which survive together or not at all. */
interface Happening {
  readonly effects: readonly Effect[]
  /** What was made, moved or removed. */
  readonly about: SimNode
  /** A folder was synced that makes this survive. */
  synced: boolean
}

/** The kernel writes names back by itself after a while; here the oldest, when so many are not synced. */
const pendingMax = 256

export interface Names {
  readonly root: SimFolder
  set(folder: SimFolder, name: string, node: SimNode): void
  remove(folder: SimFolder, name: string, node: SimNode): void
  move(from: SimFolder, name: string, to: SimFolder, newName: string, node: SimNode): void
  sync(folder: SimFolder): void
  /**
   * The power is cut: of the names not synced each change survives or does not, a later one about the same name
   * or node never without the earlier. What is moved is under its old or its new name, never under none.
   */
  crash(choose: Chooser): void
  /** Other ones, with files and folders of their own, that have come to the same. */
  copy(): Names
}

export const simFolder = (): SimFolder => ({
  kind: 'folder',
  seen: new Map(),
  kept: new Map(),
  keptIn: undefined,
  mtime: 0,
})

export function simNames(root = simFolder(), before: readonly Happening[] = []): Names {
  let pending: Happening[] = [...before]

  const happen = (about: SimNode, effects: readonly Effect[]): void => {
    for (const { folder, name, node } of effects) put(folder.seen, name, node)
    pending.push({ effects, about, synced: false })
    if (pending.length <= pendingMax) return
    const oldest = pending.find(({ synced }) => !synced)
    if (oldest) oldest.synced = true
    settle()
  }
  /** Moves over to `kept` what survives for certain. */
  const settle = (): void => {
    for (const happening of withNeeded(pending, ({ synced }) => synced)) happening.synced = true
    const left: Happening[] = []
    for (const happening of pending) {
      const held = left.some((earlier) => needs(happening, earlier))
      if (!happening.synced || held || !leadsSomewhere(root, happening)) left.push(happening)
      else for (const effect of happening.effects) keep(effect)
    }
    pending = left
  }

  return {
    root,
    set: (folder, name, node) => happen(node, [{ folder, name, node }]),
    remove: (folder, name, node) => happen(node, [{ folder, name, node: undefined }]),
    move(from, name, to, newName, node) {
      const gone: Effect = { folder: from, name, node: undefined }
      happen(node, [gone, { folder: to, name: newName, node }])
    },
    sync(folder) {
      for (const happening of pending) {
        if (happening.effects.some((effect) => effect.folder === folder)) happening.synced = true
      }
      settle()
    },
    crash(choose) {
      const chosen = withNeeded(
        pending,
        ({ synced, effects }) =>
          synced || choose(2, `names ${effects.map(({ name }) => name).join(' → ')}`) === 1,
      )
      for (const happening of withoutLost(root, pending, chosen)) happening.effects.forEach(keep)
      pending = []
      restore(root, choose, '')
    },
    copy() {
      const copyOf = copier()
      const happenings = pending.map(({ effects, about, synced }) => ({
        effects: effects.map(({ folder, name, node }) => ({
          ...{ folder: copyOf(folder), name },
          node: node && copyOf(node),
        })),
        ...{ about: copyOf(about), synced },
      }))
      return simNames(copyOf(root), happenings)
    },
  }
}

/** Copies files and folders; the same one once, however often it is met. */
function copier() {
  const copies = new Map<SimNode, SimNode>()
  const all = (names: Map<string, SimNode>): [string, SimNode][] =>
    [...names].map(([name, node]) => [name, copyOf(node)])
  function copyOf<Node extends SimNode>(node: Node): Node {
    const known = copies.get(node)
    if (known) return known as Node
    const fresh: SimNode = node.kind === 'file' ? node.copy() : simFolder()
    copies.set(node, fresh)
    if (node.kind === 'folder' && fresh.kind === 'folder') {
      fresh.mtime = node.mtime
      fresh.keptIn = node.keptIn && copyOf(node.keptIn)
      for (const [name, below] of all(node.seen)) fresh.seen.set(name, below)
      for (const [name, below] of all(node.kept)) fresh.kept.set(name, below)
    }
    return fresh as Node
  }
  return copyOf
}

function put(names: Map<string, SimNode>, name: string, node: SimNode | undefined): void {
  if (node === undefined) names.delete(name)
  else names.set(name, node)
}

function keep({ folder, name, node }: Effect): void {
  const before = folder.kept.get(name)
  if (before?.kind === 'folder' && before.keptIn === folder) before.keptIn = undefined
  put(folder.kept, name, node)
  if (node?.kind === 'folder') node.keptIn = folder
}

/** Whether the one cannot have reached the disk without the earlier one: what happens to a node goes from name to name. */
function needs(happening: Happening, earlier: Happening): boolean {
  const [first, second] = happening.effects
  const removed = first?.node === undefined && second === undefined ? happening.about : undefined
  return earlier.effects.some(
    ({ folder, name }) =>
      // What was taken out of a folder is out before the folder is gone.
      folder === removed ||
      happening.effects.some((effect) => effect.folder === folder && effect.name === name),
  )
}

/** In order: those that were asked for, and all that they need. */
function withNeeded(all: readonly Happening[], asked: (one: Happening) => boolean): Happening[] {
  const wanted = new Set(all.filter(asked))
  for (let at = all.length - 1; at >= 0; at--) {
    const happening = all[at]
    if (happening === undefined || !wanted.has(happening)) continue
    for (const earlier of all.slice(0, at)) if (needs(happening, earlier)) wanted.add(earlier)
  }
  return all.filter((one) => wanted.has(one))
}

/** A move into a folder whose own name is lost would lose the file; a file system undoes the move instead. */
function withoutLost(
  root: SimFolder,
  all: readonly Happening[],
  chosen: readonly Happening[],
): readonly Happening[] {
  const places = new Map<SimFolder, SimFolder | undefined>()
  for (const { effects } of chosen) {
    for (const { folder, name, node } of effects) {
      if (node?.kind === 'folder') places.set(node, folder)
      const before = folder.kept.get(name)
      if (node === undefined && before?.kind === 'folder') places.set(before, undefined)
    }
  }
  const lost = chosen.find((happening) => !leadsSomewhere(root, happening, places))
  if (lost === undefined) return chosen
  const undone = new Set([lost])
  for (const later of all.slice(all.indexOf(lost) + 1)) {
    if ([...undone].some((earlier) => needs(later, earlier))) undone.add(later)
  }
  return withoutLost(
    root,
    all,
    chosen.filter((happening) => !undone.has(happening)),
  )
}

/** False only for a move into a folder that does not survive where it is. */
function leadsSomewhere(
  root: SimFolder,
  { effects }: Happening,
  places: ReadonlyMap<SimFolder, SimFolder | undefined> = new Map(),
): boolean {
  const [, target] = effects
  if (target === undefined) return true
  let folder: SimFolder | undefined = target.folder
  while (folder !== undefined && folder !== root) {
    folder = places.has(folder) ? places.get(folder) : folder.keptIn
  }
  return folder === root
}

/** What survived is what is seen from now on. */
function restore(folder: SimFolder, choose: Chooser, path: string): void {
  folder.seen.clear()
  const names = [...folder.kept].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, node] of names) {
    folder.seen.set(name, node)
    if (node.kind === 'folder') restore(node, choose, `${path}${name}/`)
    else node.crash(choose, `${path}${name}`)
  }
}
