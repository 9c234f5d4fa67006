/** Who may come in where there are several volumes: new files go where most room is, all others to where they belong. */
import type { AcceptedRequest, ReceivingFile, StoredFile } from '../index/index.ts'
import { lock } from '../world/lock.ts'
import { company } from './admission.ts'
import type { PoolAnswering } from './pool-answering.ts'
import type { Answered, Member } from './pool-members.ts'
import { type PoolParts, storedOn } from './pool-reading.ts'
import { marked, slotOf, versionFor } from './pool-slots.ts'
import { overheadBytes } from './reservations.ts'
import type { Incoming, NewFile, Receiving, Standing } from './store.ts'

/** Where a file is to come, or why it does not. */
interface Judged {
  readonly standing: Standing
  /** The volume that has something to do with it. */
  readonly member?: Member
}

const keyOf = ({ collection, id }: Pick<NewFile, 'collection' | 'id'>): string =>
  `${collection}\0${id}`

export interface PoolReceiving extends Receiving {
  /** Resolves when nothing is being finished that began before. */
  settled(): Promise<void>
}

export function poolReceiving(
  parts: PoolParts,
  answering: Pick<PoolAnswering, 'holds' | 'late'>,
  spread: (collection: string, volume: string) => void,
): PoolReceiving {
  const { members } = parts
  const oneAtATime = lock()
  const late = (member: Member, files: readonly NewFile[]): void =>
    answering.late(member, () => member.store.release(files))
  /** Where files are on their way to, by volume. */
  const placed = new Map<string, string>()
  const finishing = new Set<Promise<unknown>>()
  const judging = judge(parts, placed)
  const track: Track = (work) => {
    finishing.add(work)
    void work.catch(() => undefined).finally(() => finishing.delete(work))
    return work
  }

  async function accept(request: AcceptedRequest, files: readonly NewFile[]): Promise<Standing[]> {
    const judged = await judging(files)
    // Before anything is stored that a volume that is away may have, too.
    for (const [id, known] of members.known) {
      const member = members.here.get(id)
      const answers = member && members.ready().includes(member)
      if (!answers && !known.unseen) await members.note(id, { unseen: true })
    }
    const groups = new Map<Member, number[]>()
    for (const [n, { member }] of judged.entries())
      if (member) groups.set(member, [...(groups.get(member) ?? []), n])
    const [first] = members.ready()
    // Remembered somewhere, though nothing of it comes.
    if (groups.size === 0 && first) groups.set(first, [])
    const standings = judged.map(({ standing }) => standing)
    const held: string[] = []
    let failure: unknown = new Error(members.away() ?? 'no volume is available')
    for (const [member, places] of groups) {
      const mine = places.flatMap((n) => forVolume(member, files[n]))
      try {
        const found = await members.one(member, () => member.store.accept(request, mine))
        held.push(member.id)
        for (const [at, n] of places.entries()) {
          standings[n] = tagged(member, found[at] ?? { is: 'other' })
          const file = files[n]
          if (!file || standings[n].is !== 'welcome') continue
          placed.set(keyOf(file), member.id)
          spread(file.collection, member.id)
        }
      } catch (error) {
        failure = error
        // It may have been done all the same, or be done yet.
        late(member, mine)
        for (const n of places) standings[n] = { is: 'noSpace', bytesFree: 0 }
      }
    }
    if (held.length === 0) throw failure
    answering.holds(request.key, held)
    return standings
  }

  return {
    standing: async (files) =>
      (await judging(files)).map(({ standing, member }) =>
        standing.is === 'welcome' && member ? { ...standing, volume: member.id } : standing,
      ),
    accept: (request, files) => oneAtATime(() => accept(request, files)),
    incoming: (collection, id, replaces) =>
      incoming(parts, placed.get(keyOf({ collection, id })), track, { collection, id, replaces }),
    release(files) {
      for (const file of files) placed.delete(keyOf(file))
      for (const { store } of members.here.values()) store.release(files)
    },
    async evict(before) {
      const counts = await members.each((member) => member.store.evict(before))
      return counts.reduce((sum, { value }) => sum + value, 0)
    },
    settled: async () => void (await Promise.allSettled(finishing)),
  }
}

type Track = <T>(work: Promise<T>) => Promise<T>

/** From the volume that it was accepted on; of what was accepted before the start each is asked. */
async function incoming(
  parts: PoolParts,
  volume: string | undefined,
  track: Track,
  { collection, id, replaces }: Pick<NewFile, 'collection' | 'id' | 'replaces'>,
): Promise<Incoming> {
  const { members } = parts
  let failure: unknown = new Error(members.away() ?? `not accepted: ${id}`)
  for (const member of members.ready()) {
    if (volume !== undefined && volume !== member.id) continue
    try {
      const seen = replaces && versionFor(member.slot, replaces)
      const inner = await members.one(member, () => member.store.incoming(collection, id, seen))
      return guarded(parts, member, inner, track)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

const forVolume = (member: Member, file: NewFile | undefined): NewFile[] => {
  if (!file) return []
  return [file.replaces ? { ...file, replaces: versionFor(member.slot, file.replaces) } : file]
}

const tagged = (member: Member, standing: Standing): Standing =>
  standing.is === 'held' ? { ...standing, file: marked(member.slot, standing.file) } : standing

/** A volume may have come meanwhile that has these bytes, or others, under the id. */
function guarded({ members }: PoolParts, member: Member, inner: Incoming, track: Track): Incoming {
  const { collection, id, checksum } = inner.file
  const before = [...members.here.keys()].join()
  const elsewhere = async (): Promise<StoredFile | undefined> => {
    for (const other of members.here.values()) {
      if (other === member || other.pulse.isSilent()) continue
      const [row] = await members.one(other, () => other.store.stored(collection, [id]))
      if (row) return row
    }
    return undefined
  }
  return {
    ...inner,
    file: inner.file,
    finish: (by) =>
      track(
        (async () => {
          const found = [...members.here.keys()].join() === before ? undefined : await elsewhere()
          if (!found) return inner.finish(by)
          if (found.checksum === checksum) return 'stored'
          throw new Error('other bytes stand under this id, on a volume that has come since')
        })(),
      ),
  }
}

function judge(parts: PoolParts, placed: ReadonlyMap<string, string>) {
  const { members } = parts
  return async (files: readonly NewFile[]): Promise<Judged[]> => {
    const rooms = await openRooms(parts)
    if (rooms.size === 0) throw new Error(members.away() ?? 'no volume is available')
    const beside = company()
    const chosen = new Map<string, Member>()
    const judged: Judged[] = []
    const seen = await lookUp(parts, files)
    for (const [n, file] of files.entries()) {
      const twin = beside.verdict(file)
      const verdict = twin
        ? { standing: twin.standing, ...memberOf(chosen.get(keyOf(file)), twin.standing) }
        : judgeOne(seen[n] ?? unseen, rooms, placed, file)
      if (verdict.standing.is === 'welcome' && verdict.member) {
        if (!twin) take(rooms, verdict.member, file)
        beside.join(file)
        chosen.set(keyOf(file), verdict.member)
      }
      judged.push(verdict)
    }
    return judged
  }
}

const memberOf = (member: Member | undefined, { is }: Standing): Pick<Judged, 'member'> =>
  member && is === 'welcome' ? { member } : {}

interface Room {
  bytes: number
  takesNew: boolean
  /** What speaks against it: it would have to be woken, or could not be. */
  against: 'nothing' | 'sleep' | 'fault'
}
type Rooms = Map<Member, Room>

async function openRooms({ members }: PoolParts): Promise<Rooms> {
  const spaces = await members.each((member) => member.store.space())
  return new Map(
    spaces.map(({ member, value }) => [
      member,
      {
        bytes: value.bytesOpen,
        takesNew: member.state === 'ready' && member.store.trouble() === undefined,
        against: against(member),
      },
    ]),
  )
}

function against({ sleeper }: Member): Room['against'] {
  if (sleeper === undefined || !sleeper.asleep()) return 'nothing'
  return sleeper.fault() === undefined ? 'sleep' : 'fault'
}

/** Only to compare: the volume itself reckons to the byte. */
const needed = ({ store }: Member, { size }: NewFile): number =>
  (store.kind === 'checksum' ? 0 : size) + overheadBytes

function take(rooms: Rooms, member: Member, file: NewFile): void {
  const room = rooms.get(member)
  if (!room) return
  room.bytes -= needed(member, file)
  // One is woken for all of them.
  if (room.against === 'sleep') room.against = 'nothing'
}

/** What the volumes say of one file that is offered. */
interface Seen {
  /** What is stored under its id. */
  readonly row: StoredFile | undefined
  readonly answers: readonly Answered<{
    readonly standing: Standing
    readonly partial: ReceivingFile | undefined
  }>[]
}
const unseen: Seen = { row: undefined, answers: [] }

/** Asked for all files at once: each question is a way to a thread and back. */
async function lookUp(parts: PoolParts, files: readonly NewFile[]): Promise<Seen[]> {
  const { members } = parts
  const rows = new Map<NewFile, StoredFile | undefined>()
  const partials = new Map<Member, Map<NewFile, ReceivingFile | undefined>>()
  const collections = new Set(files.map(({ collection }) => collection))
  for (const collection of collections) {
    const some = files.filter((file) => file.collection === collection)
    const ids = some.map(({ id }) => id)
    const found = await storedOn(parts, collection, ids)
    for (const [n, file] of some.entries()) rows.set(file, found[n])
    for (const { member, value } of await members.each(({ index }) =>
      index.receiving(collection, ids),
    )) {
      const mine = partials.get(member) ?? new Map<NewFile, ReceivingFile | undefined>()
      for (const [n, file] of some.entries()) mine.set(file, value[n])
      partials.set(member, mine)
    }
  }
  const answers = await members.each((member) => standingsOn(member, files))
  return files.map((file, n) => ({
    row: rows.get(file),
    answers: answers.map(({ member, value }) => ({
      member,
      value: {
        standing: value[n] ?? { is: 'other' as const },
        partial: partials.get(member)?.get(file),
      },
    })),
  }))
}

/** What a volume says to each of them, whatever becomes of the others. */
async function standingsOn(member: Member, files: readonly NewFile[]): Promise<Standing[]> {
  const offered = files.flatMap((file) => forVolume(member, file))
  const together = await member.store.standing(offered)
  const isAlone = ({ is }: Standing): boolean => /^(welcome|held|absent|otherBytes|newer)$/.test(is)
  return Promise.all(
    together.map(async (standing, n) => {
      const file = offered[n]
      // It may be the others of the request that are in its way, or take its room.
      if (!file || isAlone(standing)) return standing
      return (await member.store.standing([file]))[0] ?? standing
    }),
  )
}

/** Where it stands, or is on its way to; else where there is most room. */
function judgeOne(
  { row, answers }: Seen,
  rooms: Rooms,
  placed: ReadonlyMap<string, string>,
  file: NewFile,
): Judged {
  // What is served decides, then what is in the way anywhere.
  const telling = answers.find(({ member, value: { standing } }) =>
    row ? member.slot === slotOf(row.sequence) : isNo(standing),
  )
  if (telling && (row || telling.value.standing.is !== 'absent')) {
    const standing = tagged(telling.member, telling.value.standing)
    const concerned = standing.is === 'welcome' || standing.is === 'held'
    return concerned ? { standing, member: telling.member } : { standing }
  }
  if (file.replaces) return { standing: { is: 'absent' } }
  const open = answers.filter(({ member }) => rooms.get(member)?.takesNew)
  const begun = open.find(
    ({ member, value }) =>
      placed.get(keyOf(file)) === member.id ||
      (value.partial?.checksum === file.checksum && value.partial.size === file.size),
  )
  const room = ({ member }: { member: Member }): number => rooms.get(member)?.bytes ?? 0
  /** Without a disk that has to be woken, if it can be. */
  const worth = ({ member }: { member: Member }): number => {
    const { bytes = 0, against = 'fault' } = rooms.get(member) ?? {}
    return bytes < needed(member, file) ? 0 : { fault: 1, sleep: 2, nothing: 3 }[against]
  }
  const best =
    begun?.value.standing.is === 'welcome'
      ? begun
      : open.sort((a, b) => worth(b) - worth(a) || room(b) - room(a))[0]
  const fits = best && (best === begun || room(best) >= needed(best.member, file))
  if (!best || !fits || best.value.standing.is !== 'welcome')
    return { standing: { is: 'noSpace', bytesFree: Math.max(0, best ? room(best) : 0) } }
  return { standing: { is: 'welcome' }, member: best.member }
}

const isNo = ({ is }: Standing): boolean => is !== 'welcome' && is !== 'noSpace' && is !== 'absent'
