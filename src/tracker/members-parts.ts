/** What members are made of. */
import type { AlarmCode } from '../protocol/alarms.ts'
import type { FragmentEvent } from '../protocol/fragments.ts'
import type { Directory } from '../trust/directory.ts'
import type { View } from '../view/view.ts'
import type { World } from '../world/world.ts'
import type { Inventory } from './members-inventory.ts'

export interface MembersParts {
  readonly world: World
  readonly name: string
  readonly directory: Directory
  readonly view: View
  readonly inventory: Inventory
  /** To all, on the topic of the event; what is retained, the broker gives to whoever comes later. */
  say(event: FragmentEvent, retain?: boolean): Promise<void>
  alarm(code: AlarmCode, text: string): void
  /** It is to go, or is lost: it does not count, and gets nothing new. */
  leaves?(pillar: string): boolean
  /** Another tracker acts from now on. */
  superseded?(): void
  /** This pillar has texts that the view does not know: there are files that we do not know. */
  behind?(collection: string, pillar: string): void
  /** Some pillar has less than was thought: there is something to repair. */
  scarce?(collection: string): void
  /** Away for so long, a pillar is gone: what it holds does not count any more. Milliseconds; a day when absent. */
  readonly graceMs?: number | undefined
  /** Our epoch is above it: the tracker before us may have come so far. */
  readonly epochFloor?: number
}
