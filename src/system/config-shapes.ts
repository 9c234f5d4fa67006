import type { Shape, Values } from './config.ts'

/** What all three programs must know about themselves and their archive. */
const basics = {
  name: { type: 'text', doc: 'The identity of this machine, as its certificate proves it.' },
  archive: { type: 'text', doc: 'The name of the archive it belongs to.' },
  owner: {
    type: 'text',
    doc: 'Public key of the owner of the archive, base64; whatever it has not signed is not believed.',
  },
  ca: { type: 'path', default: 'ca.pem', doc: 'Certificate of the authority of the archive.' },
  certificate: { type: 'path', default: 'certificate.pem', doc: 'Our own certificate.' },
  key: { type: 'path', default: 'key.pem', doc: 'Our private key; it never leaves this machine.' },
  'log.level': {
    type: 'text',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'The least that is logged: debug, info, warn, error, or silent for nothing.',
  },
  'topics.prefix': {
    type: 'text',
    default: 'colonnade',
    doc: 'What all topics on the broker begin with.',
  },
  'broker.url': {
    type: 'text',
    doc: 'Where the broker is to be reached, e.g. mqtts://archive.example.org:8443, or wss://archive.example.org:8443/mqtt where nothing but HTTPS gets out.',
  },
  'broker.identity': {
    type: 'text',
    default: 'tracker',
    doc: 'The name that the certificate of the broker must prove.',
  },
} as const satisfies Shape

const tracker = {
  'tracker.url': {
    type: 'text',
    doc: 'Where the exchange of the tracker is to be reached, e.g. https://archive.example.org:8443.',
  },
  'tracker.identity': {
    type: 'text',
    default: 'tracker',
    doc: 'The name that the certificate of the tracker must prove.',
  },
} as const satisfies Shape

const link = {
  'link.limit': {
    type: 'rate',
    optional: true,
    doc: 'The most that goes over the internet: by the exchange of the tracker, both ways together. What is on the same network is not limited.',
  },
  'link.windows': {
    type: 'hours',
    default: [],
    doc: 'Hours of the machine\'s own time, e.g. "22:00-06:00", in which what is stored and repaired may go by the exchange of the tracker; at all hours when empty. What is fetched never waits.',
  },
} as const satisfies Shape

const home = {
  home: {
    type: 'path',
    optional: true,
    doc: 'Folder for state that is not about one volume; when absent, beside this file.',
  },
} as const satisfies Shape

const bay = {
  'bay.index': {
    type: 'path',
    optional: true,
    doc: 'Folder on another medium for the indexes of the disks; with it, those that are named here sleep while nothing is asked of them.',
  },
  'bay.controller': {
    type: 'path',
    optional: true,
    doc: 'Serial line of the controller that switches their power: /dev/serial/by-id/...; when absent the disks stop by timers of their own.',
  },
  'bay.baud': { type: 'number', default: 9600, doc: 'Speed of that line.' },
  'bay.slot': {
    type: 'number',
    default: 0,
    doc: 'Which bay the disk at volume.mount is in, counted from 0.',
  },
  'bay.slots': {
    type: 'list',
    default: [],
    doc: 'The bays of the disks at volume.mounts, in their order; one without a bay does not sleep.',
  },
  'bay.on-max': {
    type: 'number',
    optional: true,
    doc: 'So many disks may have power at a time; when absent, as many as the controller allows.',
  },
  'bay.linger': {
    type: 'duration',
    default: '3min',
    doc: 'A disk sleeps when nothing was asked of it for so long.',
  },
  'bay.stop': {
    type: 'list',
    default: [],
    doc: 'Without a controller: program and arguments that are run to stop a disk when it is to sleep; the place where it is mounted is added. When absent, it stops by its own timer.',
  },
  'bay.work-every': {
    type: 'duration',
    default: '7d',
    doc: 'What nobody waits for, as reading everything again, is done together, once in so long.',
  },
} as const satisfies Shape

const power = {
  'power.source': {
    type: 'text',
    default: 'none',
    oneOf: ['none', 'q1', 'nut', 'board'],
    doc: 'Who tells where the power comes from: q1 is a UPS on a serial line (Megatec), nut a server of Network UPS Tools, board the board itself (under-voltage only).',
  },
  'power.device': {
    type: 'path',
    optional: true,
    doc: 'Serial line of the UPS, by a name that stays: /dev/serial/by-id/...',
  },
  'power.baud': { type: 'number', default: 2400, doc: 'Speed of that line.' },
  'power.server': {
    type: 'text',
    optional: true,
    doc: 'The UPS as the NUT server knows it: NAME@HOST or NAME@HOST:PORT.',
  },
  'power.user': { type: 'text', optional: true, doc: 'User of the NUT server, if it wants one.' },
  'power.password': { type: 'text', optional: true, doc: 'And the password.' },
  'power.every': { type: 'duration', default: '5s', doc: 'How often it is looked at the power.' },
  'power.silent': {
    type: 'duration',
    default: '1min',
    doc: 'When nobody could tell for so long, that is alarmed.',
  },
  'power.steady': {
    type: 'duration',
    default: '1min',
    doc: 'Mains must be back for so long before work goes on.',
  },
  'power.finish': {
    type: 'duration',
    default: '1min',
    doc: 'On battery, transfers that need no longer are finished; others are broken off.',
  },
  'power.battery': {
    type: 'duration',
    default: '10min',
    doc: 'The longest time on battery, whatever the UPS says of its charge; then it stops.',
  },
  'power.charge': {
    type: 'number',
    default: 30,
    doc: 'Per cent of charge at which it stops.',
  },
  'power.runtime': {
    type: 'duration',
    default: '3min',
    doc: 'Time left by the word of the UPS at which it stops.',
  },
  'power.away': {
    type: 'duration',
    default: '1d',
    doc: 'How long the others are asked to wait for it when it stops for lack of power; a week at most.',
  },
  'power.unmount': {
    type: 'list',
    default: [],
    doc: 'Program and arguments that are run once the disk is not used any more.',
  },
  'power.mount': {
    type: 'list',
    default: [],
    doc: 'Program and arguments that are run before it is used again, when the mains are back.',
  },
  'power.shutdown': {
    type: 'list',
    default: [],
    doc: 'Program and arguments that switch the machine off; without it the agent waits, and goes on when the mains are back.',
  },
  'power.cut': {
    type: 'duration',
    optional: true,
    doc: 'With q1 and power.shutdown: the UPS is told to cut its output so long after, 12s to 10min, and to give it again when there are mains, so that the board starts. When absent it is told nothing.',
  },
} as const satisfies Shape

const floor = {
  'floor.changes': {
    type: 'number',
    default: 2_000,
    doc: 'Files that one identity may delete or replace here in a day, whatever messages or the owner say; what is running counts as a day, not what a clock shows.',
  },
  'floor.changes-all': {
    type: 'number',
    default: 5_000,
    doc: 'Files that all identities together may delete or replace here in a day.',
  },
} as const satisfies Shape

export const agentShape = {
  ...basics,
  ...home,
  ...tracker,
  ...link,
  site: {
    type: 'text',
    optional: true,
    doc: 'The place where this pillar stands: copies in one place count as one.',
  },
  kind: {
    type: 'text',
    default: 'file',
    oneOf: ['file', 'checksum'],
    doc: 'What it keeps: file, or checksum for checksums only, which fits the smallest board and is no copy.',
  },
  'checksum.told': {
    type: 'flag',
    default: false,
    doc: 'A checksum pillar takes checksums as requests say them, instead of fetching the bytes to hash them.',
  },
  'volume.mount': { type: 'path', doc: 'Where the disk is mounted that keeps the files.' },
  'volume.mounts': {
    type: 'paths',
    default: [],
    doc: 'Where further disks of it are mounted.',
  },
  'volume.search': {
    type: 'paths',
    default: ['/mnt', '/media', '/run/media', '/srv'],
    doc: 'A disk that is mounted below one of these folders is taken when it was adopted for this pillar, whatever it is called.',
  },
  'volume.reserve': {
    type: 'size',
    optional: true,
    doc: 'Space on each disk that is never filled; when absent 5 % of it, at least 1 GiB, and at most a tenth.',
  },
  'volume.retain': {
    type: 'duration',
    default: '30d',
    doc: 'How long the bytes of deleted and replaced files are kept aside, to be taken back. No message shortens it; the owner may lengthen it for a collection.',
  },
  ...floor,
  'floor.unwanted': {
    type: 'number',
    default: 5,
    doc: 'Per cent of the fragments of a collection here (100 at least) that the tracker may have thrown away in a day because nobody needs them, as it says.',
  },
  'scrub.period': {
    type: 'duration',
    default: '90d',
    doc: 'In this time everything is read from the disk once and compared, a share a day.',
  },
  ...bay,
  ...power,
} as const satisfies Shape

export const trackerShape = {
  ...basics,
  ...home,
  'broker.listen': {
    type: 'text',
    default: '',
    doc: 'Host and port for the embedded broker; exchange when it is to have none of its own: it is always found at that of the exchange, too. Empty when broker.url is that of another one.',
  },
  'exchange.listen': {
    type: 'text',
    default: '0.0.0.0:8443',
    doc: 'Host and port that the exchange listens on.',
  },
  'exchange.urls': {
    type: 'list',
    doc: 'Where pillars and clients reach the exchange, the best first.',
  },
  'spool.folder': {
    type: 'path',
    default: 'spool',
    doc: 'Where files wait until every pillar named for them has them.',
  },
  'spool.quota': { type: 'size', default: '4GiB', doc: 'How much may wait there.' },
  'spool.expiry': { type: 'duration', default: '7d', doc: 'How long a file may wait there.' },
  'vault.folder': {
    type: 'path',
    default: 'vault',
    doc: 'Where files of collections in fragments wait until they are safe on pillars, with the catalogue of them.',
  },
  'vault.reserve': {
    type: 'size',
    default: '1GiB',
    doc: 'Space on that disk that is never filled.',
  },
  ...floor,
  'repair.every': {
    type: 'duration',
    default: '24h',
    doc: 'How often the pillars of each collection are compared at least; they are whenever one returns, too.',
  },
  'repair.settle': {
    type: 'duration',
    default: '1min',
    doc: 'How long a difference between pillars must stand before it is repaired: most heal themselves.',
  },
  'renewal.grace': {
    type: 'duration',
    default: '730d',
    doc: 'For so long after the end of its certificate a member that is not revoked may still get a new one.',
  },
  'owner-key': {
    type: 'path',
    optional: true,
    doc: 'Private key of the owner, `ca.pem` and `ca.key` beside it: only while the tracker may let in whom the owner has invited. `$CREDENTIALS_DIRECTORY/owner.key` when systemd gives it to the service.',
  },
} as const satisfies Shape

export const clientShape = {
  ...basics,
  ...tracker,
  ...link,
  'owner-key': {
    type: 'path',
    optional: true,
    doc: 'Private key of the owner, where he works; `colonnade collection` signs with it.',
  },
  'client.home': {
    type: 'path',
    optional: true,
    doc: 'Folder for what one run remembers for the next; when absent, beside this file.',
  },
  'exchange.listen': {
    type: 'text',
    default: '0.0.0.0:0',
    doc: 'Host and port that our own exchange listens on while we put and get; port 0 is any free one.',
  },
  'exchange.advertise': {
    type: 'list',
    default: [],
    doc: 'Hosts under which pillars nearby may reach it; when empty, our private addresses.',
  },
} as const satisfies Shape

export type AgentConfig = Values<typeof agentShape>
export type TrackerConfig = Values<typeof trackerShape>
export type ClientConfig = Values<typeof clientShape>
