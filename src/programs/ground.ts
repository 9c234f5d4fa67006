/** What a pillar stands on: its disks, the indexes of what is there, its own state. */
import type { Controls } from '../machine/control.ts'
import type { State } from '../state/state.ts'
import type { Store } from '../store/store.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import type { World } from '../world/world.ts'
import { openDisks } from './disks.ts'

export interface Ground {
  readonly store: Store
  readonly state: State
  /** What commands on the same board may ask of it. */
  readonly controls: Controls
  /** Of what the pillar has closed. */
  end(): Promise<void>
}

/** Rejects with a sentence for the owner. An index that was lost is made anew, which `lost` is told. */
export async function openGround(
  world: World,
  config: AgentConfig,
  lost: (text: string) => void,
): Promise<Ground> {
  const { pool, state, eject, look, places, bays, end } = await openDisks(world, config, lost)
  const named = ({ volume }: Readonly<Record<string, unknown>>): string => String(volume ?? '')
  const controls: Controls = {
    // What the indexes say, for `doctor`: nobody else may open them.
    index: () => pool.summaries(),
    volumes: async () => ({ volumes: await pool.volumes(), places: places(), bays: bays() }),
    bays: async () => ({ bays: bays() }),
    eject: (about) => eject(named(about)),
    async forget(about) {
      await pool.forget(named(about))
      return {}
    },
    async look({ again }) {
      await look(again === true)
      return { places: places() }
    },
  }
  return {
    ...{ store: pool, state, controls },
    async end() {
      await state.close()
      await end()
    },
  }
}
