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
    /** Of one of the sixteen events of fragment distribution. */
    event: (type: EventType) => `${prefix}/${eventTopics[type]}`,
    /** Whether a `replyTo` is one that this sender may name. */
    isReplyOf: (topic: string, identity: string) =>
      topic.startsWith(`${prefix}/replies/${identity}/`) && !/[+#\0]/.test(topic),
    /** Whether a message of this kind, by this sender, is ever said there: who holds a broker can say it elsewhere again. */
    isPlaceOf(topic: string, { type, from, collection }: Placed): boolean {
      if (type === 'Presence')
        return topic === `${prefix}/pillars/${from}/state` || topic === `${prefix}/tracker/state`
      if (type === 'Alarm') return topic === `${prefix}/alarms`
      if (type in eventTopics) return topic === `${prefix}/${eventTopics[type as EventType]}`
      if (type.endsWith('Response')) return topic.startsWith(`${prefix}/replies/`)
      const [kind, name, rest] = topic.slice(prefix.length + 1).split('/')
      if (kind === 'tracker') return name === 'requests'
      return rest === 'requests' && (kind === 'pillars' || name === collection)
    },
  }
}
interface Placed {
  readonly type: string
  readonly from: string
  readonly collection?: string | undefined
}

/** The topics that MyTorrent's design gives to its events. */
const eventTopics = {
  TrackerHello: 'tracker/hello',
  TrackerGoodbye: 'tracker/goodbye',
  ClientJoinRequested: 'clients/join/requested',
  ClientJoinAccepted: 'clients/join/accepted',
  ClientJoinDenied: 'clients/join/denied',
  ClientJoinSucceeded: 'clients/join/succeeded',
  ClientJoinFailed: 'clients/join/failed',
  ClientRegistered: 'clients/registered',
  ClientGoodbye: 'clients/goodbye',
  FileInfoPublished: 'files/info',
  FragmentDistributionStarted: 'fragments/distribution/started',
  FragmentDistributionRequested: 'fragments/distribution/requested',
  FragmentDistributionDelivered: 'fragments/distribution/delivered',
  FragmentDistributionObtained: 'fragments/distribution/obtained',
  FragmentDistributionFailed: 'fragments/distribution/failed',
  FragmentDistributionEnded: 'fragments/distribution/ended',
} as const
export type EventType = keyof typeof eventTopics
export const eventTypes = Object.keys(eventTopics) as EventType[]

/** The events that pillars say; the tracker says the others. */
export const pillarEvents: readonly EventType[] = [
  'ClientJoinRequested',
  'ClientJoinSucceeded',
  'ClientJoinFailed',
  'ClientGoodbye',
  'FragmentDistributionRequested',
  'FragmentDistributionObtained',
  'FragmentDistributionFailed',
]
/** Events that all hear: the tracker those of pillars, pillars those of the tracker. */
export const trackerEvents: readonly EventType[] = eventTypes.filter(
  (type) => !pillarEvents.includes(type),
)

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
  if (path[0] === 'pillars' && path.length !== 3) return false
  if (path[0] === 'pillars' && path[2] === 'state')
    // The tracker is there as a pillar too, for collections in fragments.
    return action === 'subscribe' || (own && role !== 'client')
  if (path[0] === 'pillars' && path[2] === 'requests') return action === 'publish' || own
  if (filter === all.trackerRequests()) return action === 'publish' || role === 'tracker'
  if (filter === all.trackerState()) return action === 'subscribe' || role === 'tracker'
  const event = eventTypes.find((type) => all.event(type) === filter)
  if (event !== undefined)
    return pillarEvents.includes(event)
      ? role === (action === 'publish' ? 'pillar' : 'tracker')
      : role === 'tracker' || (role === 'pillar' && action === 'subscribe')
  return filter === all.alarms()
}

/** What stays on a broker for whoever comes later are presences: everything else of it would pile up there. */
export const mayRetain = (prefix: string, topic: string): boolean =>
  /^(pillars\/[^/]+|tracker)\/state$/.test(topic.slice(prefix.length + 1))

/** All that an identity may do, as filters: what `mayUse` says of each topic that there is. */
export function rightsOf(
  prefix: string,
  role: 'pillar' | 'client' | 'tracker',
  identity: string,
): Readonly<Record<'publish' | 'subscribe', readonly string[]>> {
  const all = topicsUnder(prefix)
  const topics = [
    ...[all.allCollectionRequests(), all.pillarRequests('+'), all.pillarRequests(identity)],
    ...[
      all.trackerRequests(),
      all.allPillarStates(),
      all.pillarState(identity),
      all.trackerState(),
    ],
    ...[all.replies('+', '+'), all.replies(identity, '#'), all.alarms()],
    ...eventTypes.map(all.event),
  ]
  const may = (action: 'publish' | 'subscribe') =>
    [...new Set(topics)].filter((topic) => mayUse(prefix, role, identity, action, topic))
  return {
    // Nobody publishes on a filter; `replies/<identity>/#` is one of `replies/+/+`.
    publish: may('publish').filter((topic) => !topic.endsWith('#')),
    subscribe: may('subscribe'),
  }
}
