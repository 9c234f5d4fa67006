/** Every bound, with its unit in its name. One place, so that they can be weighed against each other. */
export const limits = {
  /** One message on the bus, both lines. */
  messageBytesMax: 64 * 1024,
  /** What a page of a request or of a result may fill of a message, leaving room for envelope and signature. */
  pageBytesMax: 44 * 1024,
  /** Files in one batch of Put or Get. */
  batchFilesMax: 64,
  /** Bytes of one batch, unless it is a single file. */
  batchBytesMax: 64 * 1024 * 1024,
  /** Results in one page of a listing. */
  pageResultsMax: 10_000,
  /** Results that a pillar delivers as one object, and their bytes. */
  resultItemsMax: 10_000,
  resultBytesMax: 8 * 1024 * 1024,
  /** Entries of a trail, or alarms, in one answer: no message holds more. */
  trailResultsMax: 250,
  /** Characters that a request may add to the audit trail. */
  noteMax: 2_000,
  /** Bytes that a pillar reads for one page of computed checksums, unless it is a single file. */
  computedBytesMax: 512 * 1024 * 1024,
  /** Requests for computed checksums that a pillar has taken on; one is computed at a time. */
  computationsMax: 64,
  fileIdBytesMax: 1024,
  componentBytesMax: 255,

  /** The most that one interruption of a transfer may send twice. */
  transferPageBytes: 8 * 1024 * 1024,
  /** One read or write of a disk. */
  chunkBytes: 1024 * 1024,
  /** The same of bytes that the tracker brings to many pillars at once: each fetch has one of them in memory, and what it becomes. */
  offeredChunkBytes: 128 * 1024,
  /** Transfers a pillar has open at a time. */
  transfersOpenMax: 4,
  /** Conversations a client has open at a time. */
  conversationsOpenMax: 4,
  connectMs: 5_000,
  /** The client's own network is tried first, and not for longer. */
  lanConnectMs: 1_000,
  transferIdleMs: 30_000,
  /** How long an exchange holds a request for bytes that are not there yet. */
  exchangeHoldMs: 15_000,
  /** Connections that one dialler keeps to one address; more requests wait for one of them. */
  connectionsPerAddressMax: 16,
  /** Connections that one exchange allows one peer. */
  connectionsPerPeerMax: 64,
  /** Connections of those who have no certificate yet, and how long each may last. */
  strangersMax: 16,
  strangerMs: 30_000,
  /** A request to be let in; wrong codes a minute, from one address and from all of them. */
  enrolmentBytesMax: 4_096,
  enrolmentFailuresMax: 10,
  enrolmentFailuresAllMax: 100,
  /** A connection without a request for so long is closed. */
  keepAliveMs: 60_000,
  /** TLS handshake, and head of a request, of somebody who may be dawdling on purpose. */
  handshakeMs: 10_000,
  headersMs: 10_000,
  headerBytesMax: 32 * 1024,
  /** Fields in the head of a request. */
  headersMax: 64,
  /** Connections that have proved nothing yet: from one address, and from all of them. */
  handshakesPerAddressMax: 64,
  handshakesMax: 256,
  /** Whose turn it is to send or to take bytes moves at least so many in so long, or is cut: nobody honest is slower. */
  dawdleMs: 60_000,
  dawdleBytesMin: 4_096,
  /** Requests of one peer that are refused without delay, and how many a second after that. */
  refusalsBurst: 200,
  refusalsPerSecond: 20,
  /** How long a refused upload is read and thrown away, so that its sender sees the refusal. */
  lingerMs: 2_000,
  /** A transfer without any progress for so long is given up. */
  transferStallMs: 10 * 60_000,

  /** What one identity may have at the embedded broker: connections, filters of each, messages at once, and a second. */
  linksPerPeerMax: 64,
  filtersPerLinkMax: 64,
  publishesBurst: 5_000,
  publishesPerSecond: 1_000,
  /** One MQTT packet. What is longer than a message is acknowledged and dropped, so that its sender does not repeat it. */
  packetBytesMax: 256 * 1024,

  /** Messages waiting to be handled; beyond it they are dropped, and their senders say them again. */
  inboxMessagesMax: 1_000,
  /** How long a message by an unknown key waits for a newer archive document. */
  unknownKeyHoldMs: 30_000,
  unknownKeyHeldMax: 100,

  identifyMs: 5_000,
  identifyExpiryMs: 30_000,
  /** Requests may name an expiry at most so far ahead. */
  expiryMsMax: 7 * 24 * 3600_000,
  performExpiryMs: 24 * 3600_000,
  /** Between two sendings of one unanswered request: at first, and at most. */
  resendMsMin: 2_000,
  resendMsMax: 30_000,
  /** How often a pillar tells that it is still at it. */
  progressMs: 5_000,
  /** A pillar that said yes keeps other bytes off that id for so long. */
  promiseMs: 60_000,
  /** A pillar says the same alarm again after so long, with how often it happened meanwhile. */
  alarmAgainMs: 60_000,
  /** Causes of alarms that a pillar tells apart at a time; what else happens then is in its log only. */
  alarmCausesMax: 1_000,
  /** A longer membership is not in the messages that tell of it; of one that is fetched, the most that is read. */
  membershipSaidBytesMax: 8 * 1024,
  membershipBytesMax: 8 * 1024 * 1024,
  /** Pillars begin to fetch it within so long, each at another moment. */
  membershipSpreadMs: 4_000,
  membershipAgainMsMax: 10 * 60_000,
  /** Distributions of one collection that have not enough copies yet, and all that go on, at a time. */
  distributionsScarceMax: 4,
  distributionsOpenMax: 16,
  /** Fragments, and bytes, that one pillar is asked to fetch at a time; one more batch may come on top. */
  fragmentsAskedMax: 128,
  fragmentBytesAskedMax: 256 * 1024 * 1024,
  /** How long a pillar may begin to fetch what was delivered; then it is told anew. */
  deliveryExpiryMs: 3600_000,
  /** Nobody is waited for longer, whatever a pillar says when it goes on purpose. */
  downOnPurposeMsMax: 7 * 24 * 3600_000,
  /** Leaves room in a text for how often it happened. */
  alarmTextMax: 1_900,
  /** Alarms that the tracker keeps; the oldest are forgotten. */
  alarmsKeptMax: 10_000,
  /** Repairs of one pillar that the tracker has in its ledger at a time; the rest stays in the listing it comes from. */
  repairsOpenMax: 2_000,
  /** How long a request that destroys waits for the tracker's confirmation; how often that is asked for. */
  confirmWaitMs: 10_000,
  confirmMsMin: 1_000,
  confirmMsMax: 15_000,
  /** A certificate is renewed when it holds for less than this, which is 5 years of 20; it is looked at so often. */
  renewAheadMs: 5 * 365 * 24 * 3600_000,
  renewLookMs: 24 * 3600_000,
  /** Between two tries of a pillar to reach the tracker about its recovery. */
  safekeepingMsMax: 60_000,
  /** Without the owner's leave one identity changes no more files of a collection in a day than the greater of these two. */
  massFilesMin: 100,
  massPercent: 5,
  /** Files that one order of change names, which somebody else is to approve. */
  orderFilesMax: 64,
  orderBytesMax: 24 * 1024,
  /** How long such an order is good, and is remembered afterwards. */
  orderMsMax: 7 * 24 * 3600_000,
  orderKeptMs: 30 * 24 * 3600_000,
  /** Files that are named of each finding. */
  findingIdsMax: 5,
  /** Clocks may differ by so much before an answer is forgotten. */
  skewMs: 10 * 60_000,

  reconnectMsMin: 500,
  reconnectMsMax: 30_000,
  keepAliveSeconds: 30,

  /** Partials untouched for so long are evicted. */
  partialMsMax: 30 * 24 * 3600_000,
  /** A volume that has not answered anything for so long, looked at so often, is silent: others go on without it. */
  silentMs: 3_500,
  pulseMs: 1_000,
  /** How often the table of mounts is read, which is in memory. */
  mountsMs: 2_000,
  /** How long an eject waits for what is under way on the volume. */
  ejectMs: 60_000,

  /** A volume without changes for so long has its manifest brought up to date. */
  manifestIdleMs: 20_000,
} as const
