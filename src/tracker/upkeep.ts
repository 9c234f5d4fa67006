/** What keeps copies at their number: owed ones are delivered, missing ones are found; and who asks is told how far it is. */
import type { Client } from '../client/client.ts'
import { compose, uuid7 } from '../post/compose.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { State } from '../state/state.ts'
import type { Debt, Ledger } from './ledger.ts'
import { owedCopies } from './owed.ts'
import { type RepairOptions, type RepairParts, repairs } from './repair.ts'

export interface UpkeepParts {
  readonly client: Client
  readonly ledger: Ledger
  readonly state: State
  readonly options: RepairOptions
  readonly signal: AbortSignal
  /** It is to go, or is lost. */
  leaves(pillar: string): boolean
  /** Keeps an alarm, also when the broker is away. */
  hear(alarm: MessageOf<'Alarm'>): Promise<void>
}

export interface Upkeep {
  /** This pillar is there. */
  arrived(pillar: string): void
  /** It is owed something new. */
  remind(pillar: string): void
  /** There is a newer archive document. */
  decided(): void
  answer(request: MessageOf<'GetRepairsRequest'>): Promise<MessageOf<'GetRepairsFinalResponse'>>
  idle(): Promise<void>
}

/** More do not fit a message with certainty. */
const toldMax = 100
const findingsMax = 6

export function upkeep({
  client,
  ledger,
  state,
  options,
  signal,
  hear,
  leaves,
}: UpkeepParts): Upkeep {
  const { world, name } = client
  const alarm: RepairParts['alarm'] = (alarmCode, alarmText, about) => {
    const message = compose<'Alarm'>(world, name, {
      ...{ type: 'Alarm', conversation: uuid7(world), alarmCode, alarmText },
      ...about,
    })
    void hear(message).catch((error) => world.log.error('alarm.notKept', { why: String(error) }))
    void client.line.post().send(client.topics.alarms(), message)
  }
  const owed = owedCopies({
    ...{ client, ledger, signal, leaves },
    paid: (pillar) => repairing.paid(pillar),
    hopeless: (pillar, debts) => sayHopeless(alarm, pillar, debts),
  })
  const repairing = repairs({
    ...options,
    client,
    ledger,
    state,
    signal,
    alarm,
    leaves,
    remind: (pillar) => owed.remind(pillar, 'repair'),
  })
  return {
    arrived(pillar) {
      owed.remind(pillar)
      repairing.arrived(pillar)
    },
    remind: (pillar) => owed.remind(pillar),
    decided: repairing.decided,
    async answer({ conversation, page, from }) {
      const under = await repairing.under()
      const findings = await repairing.found()
      return compose<'GetRepairsFinalResponse'>(world, name, {
        type: 'GetRepairsFinalResponse',
        ...{ conversation, page, to: [from], pillar: name },
        responseInfo: { code: 'OPERATION_COMPLETED' },
        repairs: under.slice(0, toldMax),
        findings: findings.slice(0, findingsMax),
      })
    },
    async idle() {
      await owed.idle()
      await repairing.idle()
    },
  }
}

/** One alarm a collection: thousands of files may be lost with one disk. */
function sayHopeless(alarm: RepairParts['alarm'], pillar: string, debts: readonly Debt[]): void {
  for (const collection of new Set(debts.map((debt) => debt.collection))) {
    const mine = debts.filter((debt) => debt.collection === collection)
    const [first] = mine
    if (!first) continue
    const what = mine.length === 1 ? 'one file' : `${mine.length} files`
    alarm(
      'INTEGRITY_ISSUE',
      `${what} can not be brought to ${pillar}: no pillar can deliver the bytes`,
      {
        collection,
        fileId: first.file.id,
      },
    )
  }
}
