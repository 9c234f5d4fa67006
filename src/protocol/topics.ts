/** Topic names. All communication starts on a topic sent to all; perform requests may go to one receiver. */
export function topicsUnder(prefix: string) {
  return {
    collectionRequests: (collection: string) => `${prefix}/collections/${collection}/requests`,
    allCollectionRequests: () => `${prefix}/collections/+/requests`,
    pillarRequests: (pillar: string) => `${prefix}/pillars/${pillar}/requests`,
    trackerRequests: () => `${prefix}/tracker/requests`,
    pillarState: (pillar: string) => `${prefix}/pillars/${pillar}/state`,
    allPillarStates: () => `${prefix}/pillars/+/state`,
    trackerState: () => `${prefix}/tracker/state`,
    replies: (identity: string, instance: string) => `${prefix}/replies/${identity}/${instance}`,
    alarms: () => `${prefix}/alarms`,
    /** Whether a `replyTo` is one that this sender may name. */
    isReplyOf: (topic: string, identity: string) =>
      topic.startsWith(`${prefix}/replies/${identity}/`) && !/[+#\0]/.test(topic),
  }
}
export type Topics = ReturnType<typeof topicsUnder>

/**
 * What an identity may do at a broker. Pillars can not speak as others or as the tracker, nor read others' replies.
 * `filter` may be a topic or a subscription filter.
 */
export function mayUse(
  prefix: string,
  role: 'pillar' | 'client' | 'tracker',
  identity: string,
  action: 'publish' | 'subscribe',
  filter: string,
): boolean {
  const all = topicsUnder(prefix)
  if (!filter.startsWith(`${prefix}/`)) return false
  const path = filter.slice(prefix.length + 1).split('/')
  const own = path[1] === identity
  if (path[0] === 'replies') return action === 'publish' ? path.length === 3 : own
  if (path[0] === 'collections') return path.length === 3 && path[2] === 'requests'
  if (path[0] === 'pillars' && path[2] === 'state')
    return action === 'subscribe' || (own && role === 'pillar')
  if (path[0] === 'pillars' && path[2] === 'requests') return action === 'publish' || own
  if (filter === all.trackerRequests()) return action === 'publish' || role === 'tracker'
  if (filter === all.trackerState()) return action === 'subscribe' || role === 'tracker'
  return filter === all.alarms()
}
