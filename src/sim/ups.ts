import type { Clock } from '../world/world.ts'
import type { Device, DeviceEnd } from './serial.ts'

/** A UPS that speaks the Megatec protocol, with a battery that may lie and a line that may be bad. */
export interface SimUps {
  readonly device: Device
  mains: boolean
  /** What it says of its battery. */
  low: boolean
  ending: boolean
  manners: Manners
  /** Questions that it has heard. */
  readonly asked: number
  /** It was told to cut its output, and does, or gives it again. */
  onOutput: (isOn: boolean) => void
}

export type Manners =
  | 'good'
  | 'silent'
  /** Bytes that mean nothing, as at a wrong speed. */
  | 'noise'
  /** The beginning of an answer. */
  | 'half'
  /** The right answer to the question before, three seconds too late. */
  | 'late'
  /** Says the question again, as a device does that does not know it. */
  | 'echo'
  /** What it is, where it was asked how it is. */
  | 'other'
  /** Everything twice. */
  | 'twice'
  /** Without being asked. */
  | 'chatter'

const lateMs = 3_000

export function simUps(clock: Pick<Clock, 'sleep'>): SimUps {
  let asked = 0
  const say = (end: DeviceEnd): void => {
    const volts = ups.mains ? '230.1' : '000.0'
    const bit = (is: boolean): number => (is ? 1 : 0)
    const bits = `${bit(!ups.mains)}${bit(ups.low)}0010${bit(ups.ending)}1`
    const answer = `(${volts} ${volts} 230.1 012 50.0 27.3 25.0 ${bits}\r`
    const pieces = wordsOf(ups.manners, answer)
    if (ups.manners === 'late')
      void clock.sleep(lateMs).then(() => pieces.map((one) => end.send(one)))
    else for (const one of pieces) end.send(one)
  }
  const ups: SimUps = {
    mains: true,
    low: false,
    ending: false,
    manners: 'good',
    onOutput: () => undefined,
    get asked() {
      return asked
    },
    device(end) {
      let come = ''
      void chatter(clock, ups, end)
      return (bytes) => {
        come += new TextDecoder().decode(bytes)
        for (let at = come.indexOf('\r'); at >= 0; at = come.indexOf('\r')) {
          const question = come.slice(0, at)
          come = come.slice(at + 1)
          asked++
          const [, after, restore] = /^S(\.\d|\d\d)R(\d{4})$/.exec(question) ?? []
          if (question === 'Q1') say(end)
          else if (after && ups.manners === 'good')
            void cut(clock, ups, [Number(after), Number(restore)])
          else end.send(`${question}\r`)
        }
      }
    },
  }
  return ups
}

/** Minutes until the output goes, and from mains until it comes back, whether they were away or not. */
async function cut(
  clock: Pick<Clock, 'sleep'>,
  ups: SimUps,
  [after, restore]: [number, number],
): Promise<void> {
  await clock.sleep(after * 60_000)
  ups.onOutput(false)
  do await clock.sleep(restore * 60_000)
  while (!ups.mains)
  ups.onOutput(true)
}

/** What is said where `answer` would be right. */
function wordsOf(manners: Manners, answer: string): (string | Uint8Array)[] {
  switch (manners) {
    case 'silent':
    case 'chatter':
      return []
    case 'noise':
      return [Uint8Array.from(answer, (sign) => (sign.charCodeAt(0) * 7) & 0xff)]
    case 'half':
      return [answer.slice(0, 20)]
    case 'echo':
      return ['Q1\r']
    case 'other':
      return ['#230.0 003 024.0 50.0\r']
    case 'twice':
      return [answer + answer]
    case 'late':
    case 'good':
      // As they come over a slow line.
      return answer.match(/.{1,11}/gs) ?? []
  }
}

/** A good answer every 200 ms, whether anybody asks or not. */
async function chatter(clock: Pick<Clock, 'sleep'>, ups: SimUps, end: DeviceEnd): Promise<void> {
  let open = true
  void end.closed.then(() => {
    open = false
  })
  while (open) {
    await clock.sleep(200)
    if (ups.manners === 'chatter') end.send('(230.1 230.1 230.1 012 50.0 27.3 25.0 00001001\r')
  }
}
