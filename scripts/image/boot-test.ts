/**
 * Starts an image in a virtual machine, as a board would start it: it reads the file on its boot partition, formats its disk,
 * becomes a member by the code there at a tracker on this computer, and receives a file. At last it is left alone for a minute,
 * and says how much memory the agent keeps.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { globSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootPartitionOf, sized } from './disk.ts'

const root = join(import.meta.dirname, '../..')
const serial = 'COLONNADE1'
/** This computer, as the machine sees it by qemu's own network. */
const host = '10.0.2.2'
const patienceMs = 30 * 60_000
const ports = { exchange: 28443, broker: 28883 }

export interface Tried {
  readonly folder: string
  readonly say: (line: string) => void
}

/** What the machine has beside what a card has: the agent's memory on the console, twice a minute. */
export const telling = {
  'etc/systemd/system/colonnade-agent.service.d/telling.conf': `[Service]
ExecStartPost=+/bin/sh -c '(while sleep 30; do grep RssAnon /proc/$MAINPID/status; done) &'
`,
} as const

/** Founds an archive, invites a pillar, and returns the folder of the boot partition's own files. */
export function prepare({ folder }: Tried): string {
  const archive = join(folder, 'archive')
  rmSync(archive, { recursive: true, force: true })
  const exchange = ['--exchange-port', `${ports.exchange}`]
  ours('tracker', 'init', archive, '--host', host, ...exchange, '--broker-port', `${ports.broker}`)
  ours('tracker', 'add', 'client', 'laptop', archive)
  // From here the tracker is at another address than from the machine.
  const laptop = join(archive, 'laptop', 'client.toml')
  const near = readFileSync(laptop, 'utf8')
    .replaceAll(host, '127.0.0.1')
    .replace('# advertise = []', `advertise = ["${host}"]`)
  writeFileSync(laptop, near)
  const boot = join(folder, 'first-boot')
  rmSync(boot, { recursive: true, force: true })
  mkdirSync(boot, { recursive: true })
  const invited = ours('tracker', 'invite', 'pillar', 'attic', '--config', trackerConfig(folder))
  const code = /\S+\/(?:\w{5}-)+\w+/.exec(invited)?.[0]
  if (code === undefined) throw new Error(`there is no code in: ${invited}`)
  ours('tracker', 'collection', 'photos', archive, '--pillars', 'attic', '--copies-min', '1')
  writeFileSync(join(folder, 'code'), code)
  const lines = [
    'config = 1',
    'name = "attic"',
    `code = "${code}"`,
    '[disk]',
    `format = "${serial}"`,
  ]
  writeFileSync(join(boot, 'colonnade.toml'), `${lines.join('\n')}\n`)
  return boot
}

const trackerConfig = (folder: string): string => join(folder, 'archive/tracker/tracker.toml')

/** Says how many seconds passed until the file was there; rejects with the console's last words. */
export async function bootTest(image: string, system: string, tried: Tried): Promise<void> {
  const { folder, say } = tried
  const console = join(folder, 'console.log')
  const disk = join(folder, 'disk.img')
  // More than what a pillar leaves free.
  sized(disk, 3072)
  const running: ChildProcess[] = []
  try {
    const tracker = program('tracker', 'run', '--config', trackerConfig(folder))
    running.push(start(process.execPath, tracker))
    const began = Date.now()
    running.push(machine(image, system, disk, console))
    say('the machine starts')
    await receives(folder, began, say, running[1])
    said(console, say)
    await sleep(90_000)
    const kilobytes = /RssAnon:\s+(\d+) kB/.exec(readFileSync(console, 'utf8').slice(-4000))?.[1]
    if (kilobytes === undefined) throw new Error('its memory is not on the console')
    say(`left alone, the agent keeps ${Math.round(Number(kilobytes) / 1024)} MiB (RssAnon)`)
  } catch (error) {
    process.stderr.write(`${readFileSync(console, 'utf8').slice(-4000)}\n`)
    throw error
  } finally {
    for (const child of running) child.kill('SIGKILL')
  }
  const done = spawnSync('mtype', ['-i', `${image}@@1M`, '::colonnade.done'], { encoding: 'utf8' })
  const code = readFileSync(join(folder, 'code'), 'utf8')
  if (!done.stdout.includes('attic') || bootPartitionOf(image).includes(code))
    throw new Error(`the code is not wiped from the boot partition: ${done.stdout}`)
  say('the code is wiped from the card')
}

function machine(image: string, system: string, disk: string, console: string): ChildProcess {
  const [kernel] = globSync('boot/vmlinuz-*', { cwd: system })
  const [first] = globSync('boot/initrd.img-*', { cwd: system })
  const log = openSync(console, 'w')
  const args = [
    ...['-M', 'virt', '-cpu', 'cortex-a53', '-smp', '2', '-m', '512', '-accel', 'tcg'],
    ...['-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-kernel', join(system, kernel ?? ''), '-initrd', join(system, first ?? '')],
    ...[
      '-append',
      'console=ttyAMA0 root=LABEL=colonnade-root rw panic=10 systemd.journald.forward_to_console=1',
    ],
    ...['-drive', `if=none,id=card,format=raw,file=${image}`],
    ...['-device', 'virtio-blk-pci,drive=card'],
    ...['-drive', `if=none,id=disk,format=raw,file=${disk}`],
    ...['-device', `virtio-blk-pci,drive=disk,serial=${serial}`],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
  ]
  return spawn('qemu-system-aarch64', args, { stdio: ['ignore', log, log] })
}

/** Puts a file until the machine has it, fetches it back and compares. */
async function receives(
  folder: string,
  began: number,
  say: Tried['say'],
  guest: ChildProcess | undefined,
): Promise<void> {
  const config = ['--config', join(folder, 'archive/laptop/client.toml')]
  const file = join(folder, 'sunset.txt')
  writeFileSync(file, 'red and gold, '.repeat(100_000))
  const seconds = (): string => `${Math.round((Date.now() - began) / 1000)} s`
  for (;;) {
    if (Date.now() - began > patienceMs) throw new Error('nothing was received in 30 min')
    if (guest?.exitCode !== null) throw new Error('the machine has ended')
    const put = spawnSync(process.execPath, program('cli', 'put', 'photos', file, ...config))
    if (put.status === 0) break
    await sleep(2000)
  }
  say(`after ${seconds()} it has received a file`)
  const back = join(folder, 'back.txt')
  rmSync(back, { force: true })
  ours('cli', 'get', 'photos', 'sunset.txt', '-o', back, ...config)
  if (!readFileSync(back).equals(readFileSync(file))) throw new Error('it gave other bytes back')
  say(`after ${seconds()} it has given the same bytes back`)
  say(ours('cli', 'status', ...config).trim())
}

/** What the first start has told on the console. */
function said(console: string, say: Tried['say']): void {
  for (const line of readFileSync(console, 'utf8').split('\n'))
    if (/colonnade-agent\[|first-boot/.test(line)) say(line.trim())
}

const program = (name: 'tracker' | 'cli', ...args: string[]): string[] => [
  join(root, 'src', `${name}.ts`),
  ...args,
]

const start = (command: string, args: string[]): ChildProcess =>
  spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'] })

function ours(name: 'tracker' | 'cli', ...args: string[]): string {
  const done = spawnSync(process.execPath, program(name, ...args), { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${name} ${args[0]}: ${done.stderr}`)
  return done.stdout
}
