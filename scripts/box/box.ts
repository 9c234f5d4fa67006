/** The main job on real input: put a folder on three pillars, get every byte of it back, say so. */
import { existsSync, statfsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { exitCodes, output, table } from '../../src/cli/output.ts'
import { type Desk, put } from '../../src/cli/put.ts'
import { colonnadeHome, typedPath } from '../../src/cli/session.ts'
import { walk } from '../../src/cli/walk.ts'
import { Stopped } from '../../src/client/line.ts'
import { survey } from '../../src/client/list.ts'
import { type OpenClient, openClient } from '../../src/programs/client.ts'
import { openWorld, read } from '../../src/programs/program.ts'
import { clientShape } from '../../src/system/config-shapes.ts'
import { formatBytes } from '../../src/world/units.ts'
import { compare } from './compare.ts'
import { collection, foundBox, pillars } from './found.ts'
import { type Processes, startProcesses } from './processes.ts'
import { writeSample } from './sample.ts'

const readyMs = 60_000
const help = `usage: npm start [-- FOLDER] [--once]

Makes a trial archive on this computer (three pillars, three copies), archives FOLDER, fetches every file
back and compares it byte for byte. Without FOLDER a small sample is used; without --once it stays up.

  COLONNADE_HOME   where the archive lives (default ~/.local/share/colonnade)
`

export async function startBox(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return say(help)
  const unknown = args.find((arg) => arg.startsWith('-') && arg !== '--once')
  const folders = args.filter((arg) => !arg.startsWith('-'))
  if (unknown !== undefined || folders.length > 1) {
    process.stderr.write(help)
    return exitCodes.usage
  }
  const home = colonnadeHome()
  const folder = folders[0] === undefined ? undefined : typedPath(folders[0])
  if (folder !== undefined && !existsSync(folder)) throw new Error(`there is no ${folder}`)
  if (
    folder !== undefined &&
    (`${home}/`.startsWith(`${folder}/`) || `${folder}/`.startsWith(`${join(home, 'volumes')}/`))
  )
    throw new Error(`${folder} and the archive's home ${home} lie within each other`)
  const founded = await foundBox(home)
  say(`${founded === 'founded' ? 'made a trial archive' : 'using the archive'} in ${home}\n`)
  return withArchive(home, folder ?? writeSample(join(home, 'sample')), args.includes('--once'))
}

function say(text: string): number {
  process.stdout.write(text)
  return exitCodes.done
}

async function withArchive(home: string, folder: string, once: boolean): Promise<number> {
  const stop = new AbortController()
  const interrupt = (): void =>
    stop.signal.aborted
      ? process.exit(exitCodes.interrupted)
      : stop.abort(new Stopped('interrupted'))
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  const config = read(join(home, 'client/client.toml'), clientShape)
  const running = await isRunning(home)
  const processes = running ? undefined : startProcesses(home, pillars)
  if (running) say('it is running already\n')
  let opened: OpenClient | undefined
  try {
    const world = openWorld({ ...config, 'log.level': 'silent' })
    await Promise.race([
      whenReachable(config['tracker.url'], stop.signal),
      ...(processes ? [processes.broken] : []),
    ])
    opened = await openClient(world, config)
    const desk: Desk = {
      client: opened.client,
      disk: opened.disk,
      out: output({}),
      signal: stop.signal,
    }
    await Promise.race([whenReady(desk), ...(processes ? [processes.broken] : [])])
    const code = await Promise.race([
      archive(desk, home, folder),
      ...(processes ? [processes.broken] : []),
    ])
    if (!once && !stop.signal.aborted) await stayUp(home, processes, stop.signal)
    return code
  } catch (error) {
    if (error instanceof Stopped || stop.signal.aborted)
      return once ? exitCodes.interrupted : exitCodes.done
    throw error
  } finally {
    await opened?.close()
    await processes?.stop()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

async function isRunning(home: string): Promise<boolean> {
  const { 'tracker.url': url } = read(join(home, 'client/client.toml'), clientShape)
  return answers(url)
}

/** Whether somebody listens at this address; who it is, the certificates tell later. */
async function answers(url: string): Promise<boolean> {
  const { connect } = await import('node:net')
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    const end = (found: boolean) => () => {
      socket.destroy()
      resolve(found)
    }
    socket.on('connect', end(true)).on('error', end(false)).setTimeout(2_000, end(false))
  })
}

async function whenReachable(url: string, signal: AbortSignal): Promise<void> {
  const end = Date.now() + readyMs
  while (!(await answers(url))) {
    signal.throwIfAborted()
    if (Date.now() > end)
      throw new Error('the tracker did not start in time; its log is in the home, below logs')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function whenReady({ client, signal }: Desk): Promise<void> {
  const end = Date.now() + readyMs
  while (!pillars.every((name) => client.line.presence(name) === 'online')) {
    signal.throwIfAborted()
    if (Date.now() > end)
      throw new Error('the pillars did not start in time; their logs are in the home, below logs')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function archive(desk: Desk, home: string, folder: string): Promise<number> {
  await checkRoom(desk, home, folder)
  const began = Date.now()
  const { code: stored, summary } = await put(desk, collection, [folder], { waitAll: true })
  const stopped = Date.now()
  const found = await compare(desk, collection, folder)
  const ended = Date.now()
  const rate = (bytes: number, ms: number): string =>
    `${formatBytes(bytes / Math.max(ms / 1000, 0.001))}/s`
  const rows = [
    ['files', `${found.equal} of ${found.files} came back equal`],
    ['bytes', formatBytes(found.bytes)],
    [
      'copies',
      `${found.copies} of each, on ${found.from.map(([name, count]) => `${name} (${count} fetched from it)`).join(', ')}`,
    ],
    [
      'put',
      summary.storedBytes > 0
        ? `${rate(summary.storedBytes, stopped - began)} of new files, ${pillars.length} copies each`
        : 'nothing new',
    ],
    ['get', rate(found.bytes, ended - stopped)],
    ['on disk', join(home, 'volumes', '*', 'colonnade', collection, 'data')],
  ]
  for (const line of table(rows)) desk.out.line(line)
  desk.out.line(`trial: ${pillars.length} copies, 1 disk, 1 place`)
  const whole = found.equal === found.files && found.copies === pillars.length
  return whole ? stored : exitCodes.failed
}

/** Three copies must fit, and what the pillars leave free. */
async function checkRoom({ client, signal }: Desk, home: string, folder: string): Promise<void> {
  const { files } = await survey(client, collection, {}, signal)
  let bytes = 0
  for await (const one of walk([folder]))
    if (one.is === 'file' && files.get(one.id)?.size !== one.size) bytes += one.size
  const { bavail, bsize } = statfsSync(home)
  const needed = bytes * pillars.length + 300 * 1024 * 1024
  if (needed <= bavail * bsize) return
  throw new Error(
    `three copies of ${formatBytes(bytes)} need ${formatBytes(needed)}, and ${home} has ${formatBytes(bavail * bsize)} free; set COLONNADE_HOME to a larger disk`,
  )
}

async function stayUp(
  home: string,
  processes: Processes | undefined,
  signal: AbortSignal,
): Promise<void> {
  const typed = relative(process.env.INIT_CWD ?? process.cwd(), home)
  say(`
the archive is up; in another terminal:
  npm run colonnade -- status
  npm run colonnade -- ls ${collection}
  npm run colonnade -- put ${collection} FOLDER
  npm run colonnade -- get ${collection} --all -o ${typed.startsWith('..') ? '/tmp/restored' : 'restored'}
Ctrl-C stops it; what is stored stays.
`)
  const stopped = new Promise<void>((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  await Promise.race([stopped, ...(processes ? [processes.broken] : [])])
}
