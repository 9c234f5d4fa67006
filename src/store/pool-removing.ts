/** Deleting, taking back, proofs and trails of several volumes. */
import type { StoredFile, TrailEntry } from '../index/index.ts'
import type { Member } from './pool-members.ts'
import { type PoolParts, storedOn } from './pool-reading.ts'
import { marked, slotOf, unmarked, versionFor, withSlot } from './pool-slots.ts'
import type { Finding, Proving, Receiving, Removing, Trail } from './store.ts'

export function poolRemoving(
  parts: PoolParts,
  standing: Receiving['standing'],
): Omit<Removing, 'tombstones'> {
  const { members, shadows } = parts
  /** What can not be found may be on a volume that is away. */
  const notFound = (): void => {
    const away = members.away()
    if (away !== undefined) throw new Error(`not found; ${away}`)
  }
  const homeOf = (file: StoredFile | undefined): Member | undefined =>
    file && members.at(slotOf(file.sequence))

  return {
    async versions(collection, ids) {
      const rows = await storedOn(parts, collection, ids)
      const versions = new Map<string, number>()
      for (const member of members.ready()) {
        const mine = rows.flatMap((row) => (homeOf(row) === member && row ? [row.id] : []))
        if (mine.length === 0) continue
        const found = await members.one(member, () => member.store.versions(collection, mine))
        for (const [n, id] of mine.entries()) {
          const version = found[n]
          if (version !== undefined) versions.set(id, withSlot(member.slot, version))
        }
      }
      return ids.map((id) => versions.get(id))
    },
    async remove(file, by) {
      const { collection, id, checksum } = file
      const [row] = await storedOn(parts, collection, [id])
      const member = homeOf(row)
      if (member) {
        const outcome = await members.one(member, () =>
          member.store.remove(versionFor(member.slot, file), by),
        )
        // What stood in its shadow stands by itself now.
        if (outcome === 'removed') shadows.lift(collection, id)
        return outcome
      }
      const found = await members.each(({ store }) =>
        store.tombstones({ collection, ids: [id], limit: 1 }),
      )
      if (found.some(({ value }) => value.tombstones[0]?.checksum === checksum)) return 'removed'
      notFound()
      return 'absent'
    },
    async restore(collection, id, checksum, by) {
      const [row] = await storedOn(parts, collection, [id])
      if (row) return row.checksum === checksum ? 'stored' : 'otherBytes'
      const kept = await members.each(({ store }) => store.restorable(collection, [id]))
      const member = kept.find(({ value }) =>
        value.some((one) => one.checksum === checksum),
      )?.member
      if (!member) {
        notFound()
        return 'absent'
      }
      // Whatever stands in its way on another volume.
      const offered = { collection, id, size: 0, checksum, mtime: 0 }
      const [told] = await standing([offered])
      if (told?.is === 'other' || told?.is === 'conflict') return 'otherBytes'
      return members.one(member, () => member.store.restore(collection, id, checksum, by))
    },
    async restorable(collection, ids) {
      const kept = await members.each(({ store }) => store.restorable(collection, ids))
      return kept.flatMap(({ value }) => value)
    },
    async purge(before, of) {
      const counts = await members.each(({ store }) => store.purge(before, of))
      return counts.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

export function poolProving({ members, shadows }: PoolParts): Proving {
  const homeOf = (file: StoredFile): Member => {
    const member = members.at(slotOf(file.sequence))
    if (!member) throw new Error(members.away() ?? 'its volume is not available')
    return member
  }
  return {
    async note(findings, by) {
      const groups = new Map<Member, Finding[]>()
      for (const finding of findings) {
        const member = members.at(slotOf(finding.file.sequence))
        if (!member) continue
        const own = { ...finding, file: unmarked(finding.file) }
        groups.set(member, [...(groups.get(member) ?? []), own])
      }
      for (const [member, own] of groups)
        await members.one(member, () => member.store.note(own, by))
    },
    async *readMedium(file) {
      yield* homeOf(file).store.readMedium(unmarked(file))
    },
    async leastProven(collection, limit) {
      const answers = await members.each(({ store }) => store.leastProven(collection, limit))
      return answers
        .flatMap(({ member, value }) => value.map((file) => marked(member.slot, file)))
        .filter((file) => !shadows.has(homeOf(file).id, collection, file.id))
        .sort((a, b) => a.provenAt - b.provenAt)
        .slice(0, limit)
    },
    async proofAges(collection, before) {
      const answers = await members.each(({ store }) => store.proofAges(collection, before))
      return before.map((_, n) => answers.reduce((sum, { value }) => sum + (value[n] ?? 0), 0))
    },
    async quarantine(file, how, by) {
      const member = homeOf(file)
      const done = await members.one(member, () => member.store.quarantine(unmarked(file), how, by))
      if (done) shadows.lift(file.collection, file.id)
      return done
    },
    async contradicted(file, by) {
      const member = homeOf(file)
      return members.one(member, () => member.store.contradicted(unmarked(file), by))
    },
    async inspect() {
      const found: StoredFile[] = []
      // One disk after the other, and not as a question: it takes as long as it takes.
      for (const { slot, store } of members.ready())
        for (const file of await store.inspect()) found.push(marked(slot, file))
      return found
    },
    async oldestProof(collection) {
      const answers = await members.each(({ store }) => store.oldestProof(collection))
      const times = answers.flatMap(({ value }) => (value === undefined ? [] : [value]))
      return times.length === 0 ? undefined : Math.min(...times)
    },
  }
}

/** One chain after the other: each entry says which it is of, and is verified there. */
export function poolTrail({ members }: PoolParts): Trail {
  return {
    async auditTrail({ after = 0, limit, ...query }) {
      const entries: TrailEntry[] = []
      let partial = false
      for (const member of members.ready()) {
        if (member.slot < slotOf(after)) continue
        const from = member.slot === slotOf(after) ? after - withSlot(member.slot, 0) : 0
        const left = limit - entries.length
        const asked = { ...query, after: from, limit: left }
        const page = await members.one(member, () => member.store.auditTrail(asked))
        for (const entry of page.entries) {
          const cursor = withSlot(member.slot, entry.sequence)
          entries.push({ ...entry, volume: member.id, cursor })
        }
        partial = page.partial
        if (partial) break
      }
      return { entries, partial }
    },
    async verifyTrail({ signal, walked } = {}) {
      const done = new Map<Member, number>()
      const chains = await members.each(async (member) => {
        const [chain] = await member.store.verifyTrail({
          ...(signal ? { signal } : {}),
          walked(entries) {
            done.set(member, entries)
            walked?.([...done.values()].reduce((sum, one) => sum + one, 0))
          },
        })
        return chain
      })
      return chains.flatMap(({ member, value }) => (value ? [{ ...value, volume: member.id }] : []))
    },
  }
}
