/** What the power that there is means for a pillar: what it refuses, what it breaks off, what it says of itself. */
import { finishing } from '../power/policy.ts'
import { changed, type Leave, type Supply } from '../power/power.ts'
import type { MessageOf, PowerStatus } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import type { Estimate } from './estimate.ts'
import type { Desk, PillarParts } from './pillar.ts'

/** Transfers that go on, as far as the power goes. */
export interface InHand {
  /** Enters one that may be broken off; `halted` then has the reason. */
  enter(bytesLeft: () => number): { readonly halted: AbortSignal; leave(): void }
  /** Resolves when bytes may be written; rejects when it is broken off. */
  writable(halted: AbortSignal): Promise<void>
}

/** Broken off for lack of power; the text is for the client. */
export class Halted extends Error {
  override readonly name = 'Halted'
}

export function inHand(supply: Supply, estimate: Estimate, stopping: AbortSignal): InHand {
  const open = new Set<{ readonly bytesLeft: number; readonly halt: AbortController }>()
  const review = (): void => {
    const { finishMs, refusal } = supply.plan()
    if (finishMs === Number.POSITIVE_INFINITY) return
    const going = [...open].filter(({ halt }) => !halt.signal.aborted)
    const chosen = finishing(going, estimate.msPerByte(), finishMs)
    for (const one of going) if (!chosen.has(one)) one.halt.abort(new Halted(refusal))
  }
  supply.onChange(review, stopping)
  return {
    enter(bytesLeft) {
      const halt = new AbortController()
      const work = {
        halt,
        get bytesLeft() {
          return bytesLeft()
        },
      }
      open.add(work)
      review()
      return { halted: halt.signal, leave: () => void open.delete(work) }
    },
    async writable(halted) {
      if (!supply.plan().writes) {
        const either = AbortSignal.any([halted, stopping])
        while (!supply.plan().writes && !either.aborted) await changed(supply, either)
      }
      halted.throwIfAborted()
    },
  }
}

/** Resolves when what nobody waits for may go on. */
export async function calm({ supply, stopping }: Desk): Promise<void> {
  while (!supply.plan().background && !stopping.aborted) await changed(supply, stopping)
}

/** Why nothing new is taken: the volume's reasons first. */
export const refusalOf = ({ store, supply }: Pick<Desk, 'store' | 'supply'>): string | undefined =>
  store.trouble() ?? supply.plan().refusal

/** Why nothing is changed either, however quickly it would be done. */
export const stillness = ({ store, supply }: Pick<Desk, 'store' | 'supply'>): string | undefined =>
  store.trouble() ?? (supply.plan().writes ? undefined : supply.plan().refusal)

/** What the presence says of it: who hears it brings nothing, and waits when it goes. */
export function presenceOfPower(
  { world, supply, awayMs = 0 }: Pick<PillarParts, 'world' | 'supply' | 'awayMs'>,
  state: 'online' | 'offline',
  leave: Leave | undefined,
): Pick<MessageOf<'Presence'>, 'saving' | 'downUntil'> {
  if (state === 'offline') return leave ? { downUntil: timeText(leave.until) } : {}
  const standing = supply?.standing()
  if (standing === undefined || standing.mode === 'mains' || standing.mode === 'unknown') return {}
  const { mode, since } = standing
  // The network may go with the mains, and nothing can be said then.
  const until = world.clock.now() + awayMs
  return { saving: { mode, since: timeText(since) }, downUntil: timeText(until) }
}

const eventKey = 'power event'

/** Tells everybody each time that it is another power than before. */
export function mindPower(desk: Desk, announce: () => void): void {
  const { supply, stopping, state, world } = desk
  let known: string = 'mains'
  const look = (): void => {
    const standing = supply.standing()
    if (standing === undefined || standing.mode === known) return
    known = standing.mode
    announce()
    if (standing.mode === 'mains') return
    desk.alarm('COMPONENT_FAILURE', `power: ${standing.text}`)
    const event = JSON.stringify({ mode: standing.mode, at: timeText(standing.since) })
    void state
      .change([[eventKey, event]])
      .catch((error) => world.log.warn('power.notNoted', { why: String(error) }))
  }
  supply.onChange(look, stopping)
  look()
}

export async function powerStatus(supply: Supply, state: State): Promise<{ power?: PowerStatus }> {
  const standing = supply.standing()
  if (standing === undefined) return {}
  const { mode, since, text, reading, leftMs } = standing
  const { refusal } = supply.plan()
  const event = await state.get(eventKey)
  return {
    power: {
      ...{ mode, since: timeText(since), text: text.slice(0, textMax) },
      ...(refusal === undefined ? {} : { refusal }),
      ...(reading.charge === undefined ? {} : { charge: Math.round(reading.charge) }),
      ...(leftMs === undefined ? {} : { msLeft: Math.round(leftMs) }),
      ...(event === undefined ? {} : { lastEvent: JSON.parse(event) }),
    },
  }
}

/** Devices say what they like. */
const textMax = 500
