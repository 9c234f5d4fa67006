// Bytes that are no MQTT 3.1.1, or more than anybody may say by it, at the embedded broker.

/** UTF-8 with its length before it (§1.5.3). */
export const field = (text: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(text as string)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

export function packet(first: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let left = body.length
  do {
    length.push((left & 127) | (left > 127 ? 128 : 0))
    left >>= 7
  } while (left > 0)
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

interface Hello {
  readonly protocol?: string
  readonly level?: number
  readonly flags?: number
  readonly keepAlive?: number
  readonly more?: Uint8Array
}

export const hello = (clientId: string, how: Hello = {}): Buffer => {
  const { protocol = 'MQTT', level = 4, flags = 2, keepAlive = 60, more = Buffer.alloc(0) } = how
  const fixed = Buffer.from([level, flags, keepAlive >> 8, keepAlive & 255])
  return packet(0x10, field(protocol), fixed, field(clientId), more)
}

export const publish = (topic: string | Uint8Array, payload: Uint8Array, first = 0x32): Buffer =>
  packet(first, field(topic), ...((first & 6) === 0 ? [] : [Buffer.from([0, 7])]), payload)

export const subscribe = (...filters: string[]): Buffer =>
  packet(0x82, Buffer.from([0, 9]), ...filters.flatMap((one) => [field(one), Buffer.from([1])]))

export interface PacketCase {
  readonly name: string
  readonly bytes: Uint8Array
}

/** All of them by `pillar-2`; each ends its connection, with a line in the log of the tracker. */
export function packets(): PacketCase[] {
  const id = 'pillar-2.x'
  const alarms = 'colonnade/alarms'
  const after = (name: string, bytes: Uint8Array): PacketCase => ({
    name: `MQTT: ${name}`,
    bytes: Buffer.concat([hello(id), bytes]),
  })
  const first = (name: string, bytes: Uint8Array): PacketCase => ({
    name: `MQTT first: ${name}`,
    bytes,
  })
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
  return [
    first('a message', publish(alarms, Buffer.from('x'))),
    first('a subscription', subscribe(alarms)),
    first('a ping', hex('c000')),
    first('an acknowledgement', hex('40020001')),
    first('random bytes', hex('8f3b00ff17a2c5de90')),
    first('words of HTTP', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')),
    first('a client id of another', hello('pillar-1')),
    first('a client id that begins with ours', hello('pillar-2x')),
    first('a run of another', hello('client.x')),
    first('no client id', hello('')),
    first('a run that is to last', hello(id, { flags: 0 })),
    first('another protocol', hello(id, { protocol: 'MQIsdq' })),
    first('protocol XMPP', hello(id, { protocol: 'XMPP' })),
    first('level 9', hello(id, { level: 9 })),
    first('the reserved flag', hello(id, { flags: 3 })),
    first(
      'a Will by QoS 3',
      hello(id, { flags: 0x1e, more: Buffer.concat([field(alarms), field('x')]) }),
    ),
    first('a Will that is not there', hello(id, { flags: 6 })),
    first('a name that is not there', hello(id, { flags: 0x82 })),
    first('a password without a name', hello(id, { flags: 0x42, more: field('x') })),
    first('a length of five bytes', hex('10 ff ff ff ff 7f')),
    first('a length of 256 MB', hex('10 ff ff ff 7f')),
    first('a type that is reserved', hex('00 00')),
    first(
      'a client id in bad UTF-8',
      packet(0x10, field('MQTT'), hex('04 02 00 3c'), field(hex('c328'))),
    ),
    first('half a packet, then the end of patience', hex('10 20 00 04 4d51')),
    after('a second hello', hello(id)),
    after('a length of five bytes', hex('32 ff ff ff ff 7f')),
    after('a length of 256 MB', hex('32 ff ff ff 7f 00')),
    after('a packet of 300 KB', publish(alarms, Buffer.alloc(300_000, 'x'))),
    after('QoS 2', publish(alarms, Buffer.from('x'), 0x34)),
    after('QoS 3', publish(alarms, Buffer.from('x'), 0x36)),
    after('a topic with a wildcard', publish('colonnade/+/alarms', Buffer.from('x'))),
    after('a topic that is empty', publish('', Buffer.from('x'))),
    after('a topic that is longer than its packet', hex('32 04 ff ff 41 41')),
    after('no message id', packet(0x32, field(alarms))),
    after('a subscription to nothing', packet(0x82, hex('0009'))),
    after('a subscription with wrong flags', packet(0x80, hex('0009'), field(alarms), hex('01'))),
    after('a subscription by QoS 3', packet(0x82, hex('0009'), field(alarms), hex('03'))),
    after('a subscription that is cut off', hex('82 04 0009 00ff')),
    after('a type that is reserved', hex('f0 00')),
    after('what only brokers say', hex('20 02 00 00')),
  ]
}

export interface TopicCase {
  readonly name: string
  readonly by: 'pillar-2' | 'client'
  readonly topic: string
}

/** What somebody may not say: it is acknowledged and dropped, with a line in the log. */
export function forbiddenTopics(): TopicCase[] {
  const line = (by: TopicCase['by'], topic: string): TopicCase => ({
    name: `${by} speaks on ${topic}`,
    by,
    topic,
  })
  const events = [
    'tracker/hello',
    'tracker/goodbye',
    'clients/join/accepted',
    'clients/join/denied',
  ]
  const more = ['clients/registered', 'files/info', 'fragments/distribution/started']
  return [
    ...[
      'pillars/pillar-1/state',
      'tracker/state',
      'pillars/tracker/state',
      'replies/client',
      'other',
    ].map((one) => line('pillar-2', `colonnade/${one}`)),
    ...[...events, ...more, 'fragments/distribution/delivered', 'fragments/distribution/ended'].map(
      (one) => line('pillar-2', `colonnade/${one}`),
    ),
    ...[
      'pillars/pillar-2/state/more',
      'pillars/pillar-2',
      'collections/home',
      'collections//requests/x',
    ].map((one) => line('pillar-2', `colonnade/${one}`)),
    ...[
      'pillars/client/state',
      'pillars/pillar-1/state',
      'tracker/hello',
      'clients/join/requested',
    ].map((one) => line('client', `colonnade/${one}`)),
    ...[
      '$SYS/broker',
      '/colonnade/alarms',
      'Colonnade/alarms',
      'colonnade',
      'colonnade/',
      'colonnade/\0',
      'colonnade//alarms',
    ].map((one) => line('pillar-2', one)),
    ...[
      'colonnade/alarms/x',
      'colonnade/../alarms',
      'homeassistant/x',
      '$forbidden',
      '$share/a/colonnade/alarms',
    ].map((one) => line('pillar-2', one)),
  ]
}

/** What somebody may not listen to: his subscription is refused (0x80 in the answer). */
export function forbiddenFilters(): TopicCase[] {
  const line = (by: TopicCase['by'], topic: string): TopicCase => ({
    name: `${by} listens to ${topic}`,
    by,
    topic,
  })
  return [
    ...[
      '#',
      '+/#',
      '+/+/+/+',
      'colonnade/#',
      'colonnade/+',
      'colonnade/+/+/requests',
      '/#',
      '$SYS/#',
    ].map((one) => line('pillar-2', one)),
    ...[
      'replies/#',
      'replies/+/x',
      'replies/client/#',
      'replies/client/x',
      'pillars/#',
      'pillars/+/requests',
    ].map((one) => line('pillar-2', `colonnade/${one}`)),
    ...[
      'pillars/pillar-1/requests',
      'tracker/requests',
      'tracker/#',
      'tracker/+',
      'clients/join/requested',
    ].map((one) => line('pillar-2', `colonnade/${one}`)),
    ...[
      '$forbidden',
      '$share/a/colonnade/replies/client/#',
      '$share/a/#',
      'colonnade/pillars/+/+',
    ].map((one) => line('pillar-2', one)),
    ...[
      'replies/other/#',
      'pillars/pillar-1/requests',
      'clients/registered',
      'fragments/distribution/started',
    ].map((one) => line('client', `colonnade/${one}`)),
  ]
}
