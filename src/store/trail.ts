/** The audit chain: asked for page by page, and walked from its first entry to prove that nothing was changed. */
import { auditSubstance, type Index, noAuditHash } from '../index/index.ts'
import { digestOf, type World } from '../world/world.ts'
import type { Chain, Trail } from './store.ts'

/** So many entries are in memory at a time. */
const pageEntries = 500

export const trail = (world: World, index: Index): Trail => ({
  auditTrail: (query) => index.trail(query),
  async verifyTrail({ signal, walked } = {}) {
    let chain: Chain = { entries: 0, head: noAuditHash }
    // What stands before the first entry was put there by somebody else.
    let after = Number.MIN_SAFE_INTEGER
    for (;;) {
      signal?.throwIfAborted()
      const page = await index.audit(after, pageEntries)
      for (const { hash, ...entry } of page) {
        const right =
          entry.sequence === chain.entries + 1 &&
          digestOf(world, auditSubstance(chain.head, entry)) === hash
        if (!right) return [{ ...chain, brokenAt: chain.entries + 1 }]
        chain = { entries: entry.sequence, head: hash }
      }
      if (page.length < pageEntries) return [chain]
      after = chain.entries
      walked?.(after)
    }
  },
})
