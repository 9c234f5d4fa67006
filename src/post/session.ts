/** The session of a presence: it tells one run of a program from another. */
import type { State } from '../state/state.ts'
import type { World } from '../world/world.ts'

/** Whatever is heard, there is room to count on. */
export const sessionMax = 2 ** 52

/** max(clock, last + 1): a death of an older session can be told from ours, whatever the clock does. */
export async function nextSession(world: Pick<World, 'clock'>, state: State): Promise<number> {
  const last = Number((await state.get('session')) ?? 0)
  const session = Math.max(world.clock.now(), last + 1)
  await keepSession(state, session)
  return session
}

/** Durable when it resolves: the next run is above it. */
export const keepSession = (state: State, session: number): Promise<void> =>
  state.change([['session', `${session}`]])

/** A UUID-shaped name for what belongs to no operation. */
export const conversationOf = (session: number): string =>
  `00000000-0000-7000-8000-${session.toString(16).padStart(12, '0').slice(-12)}`
