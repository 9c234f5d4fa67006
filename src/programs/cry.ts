/** An alarm of a program that is not up, or may never be: on a connection of its own. */
import type { ConnectBus } from '../bus/bus.ts'
import { limits } from '../limits.ts'
import { compose } from '../post/compose.ts'
import { startPost } from '../post/post.ts'
import { conversationOf } from '../post/session.ts'
import type { AlarmCode } from '../protocol/alarms.ts'
import { openState } from '../state/sqlite.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { openMember } from '../system/member.ts'
import type { World } from '../world/world.ts'

const againMs = 200

/** Resolves when the broker has it, or could not be reached in time; never rejects. */
export async function cry(
  world: World,
  config: AgentConfig,
  [alarmCode, alarmText]: readonly [AlarmCode, string],
  connect?: ConnectBus,
): Promise<void> {
  const state = openState(':memory:')
  try {
    const member = await openMember(world, config, state, connect)
    const clientId = `${config.name}.alarm`
    const about = { world, identity: config.name, clientId, persistent: false, subscriptions: [] }
    const post = startPost({ ...member, ...about }, { mail: async () => undefined })
    const alarm = compose<'Alarm'>(world, config.name, {
      ...{ type: 'Alarm', conversation: conversationOf(world.clock.now()), alarmCode },
      alarmText: alarmText.slice(0, limits.alarmTextMax),
    })
    const until = world.clock.monotonic() + limits.connectMs
    while (!(await post.send(member.topics.alarms(), alarm)) && world.clock.monotonic() < until)
      await world.clock.sleep(againMs)
    await post.close()
    member.dial.close()
  } catch (error) {
    world.log.warn('alarm.notSaid', { why: String(error) })
  } finally {
    await state.close()
  }
}
