/** Any UPS that a Network UPS Tools server knows, here or on another machine of the house. Asks; never commands. */
import { connect, type Socket } from 'node:net'
import {
  listCharsMax,
  listQuestion,
  type NutAddress,
  parseList,
  quoted,
  readingOfVariables,
} from './nut-text.ts'
import { type Power, unknownReading } from './power.ts'

export interface NutOptions extends NutAddress {
  /** Only where the server wants them; most servers answer questions of everybody. */
  readonly user?: string | undefined
  readonly password?: string | undefined
}

/** For connecting, and for each answer. */
const answerMs = 5_000

export function nutPower(options: NutOptions): Power {
  let line: Line | undefined

  async function look(signal: AbortSignal) {
    line ??= await opened(options, signal)
    const found = await line.ask(listQuestion(options.ups), signal, (come) =>
      parseList(come, options.ups),
    )
    if (typeof found === 'string') throw new Error(found)
    return readingOfVariables(found)
  }
  return {
    async read(signal) {
      try {
        return await look(signal)
      } catch (error) {
        // A connection on which something was strange is not used again: a late answer would be taken for the next.
        line?.end()
        line = undefined
        return unknownReading(error instanceof Error ? error.message : String(error))
      }
    },
    async close() {
      line?.end()
      line = undefined
    },
  }
}

async function opened(options: NutOptions, signal: AbortSignal): Promise<Line> {
  const line = openLine(connect({ host: options.host, port: options.port }))
  try {
    await line.connected(signal)
    for (const [word, value] of [
      ['USERNAME', options.user],
      ['PASSWORD', options.password],
    ])
      if (value !== undefined) {
        const said = await line.ask(`${word} ${quoted(value)}\n`, signal, firstLine)
        if (!said.startsWith('OK')) throw new Error(`the NUT server does not take ${word}: ${said}`)
      }
    return line
  } catch (error) {
    line.end()
    throw error
  }
}

const firstLine = (come: string): string | undefined =>
  come.includes('\n') ? come.slice(0, come.indexOf('\n')) : undefined

interface Line {
  connected(signal: AbortSignal): Promise<void>
  /** Resolves with what `whole` makes of what has come. */
  ask<T>(question: string, signal: AbortSignal, whole: (come: string) => T | undefined): Promise<T>
  end(): void
}

function openLine(socket: Socket): Line {
  let come = ''
  let ended: string | undefined
  let wake = (): void => undefined
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    come += text
    wake()
  })
  socket.on('error', (error) => {
    ended = error.message
  })
  socket.on('close', () => {
    ended ??= 'the NUT server has closed the connection'
    wake()
  })
  // Half closed is of no use to us.
  socket.on('end', () => {
    ended ??= 'the NUT server has closed the connection'
    wake()
  })
  socket.on('connect', () => wake())

  async function wait<T>(signal: AbortSignal, look: () => T | undefined): Promise<T> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (ended !== undefined) throw new Error(ended)
      if (come.length > listCharsMax) throw new Error('the answer does not end')
      if (late.aborted) throw new Error('the NUT server does not answer')
      await new Promise<void>((resolve) => {
        wake = resolve
        late.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
  return {
    connected: (signal) =>
      wait(signal, () => (socket.readyState === 'open' ? true : undefined)).then(() => undefined),
    async ask(question, signal, whole) {
      if (come !== '') throw new Error('the NUT server talks without being asked')
      socket.write(question)
      const found = await wait(signal, () => whole(come))
      come = ''
      return found
    },
    end: () => void socket.destroy(),
  }
}
