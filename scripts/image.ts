/**
 * `npm run image -- --board rpi4`: a card for a 64-bit board as one file, to be written with any flashing program: Debian
 * arm64, the firmware from Debian, our package, and a FAT partition for the file that the first start reads.
 * firmware-notes/flashing.md has the whole story.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { version } from '../src/system/version.ts'
import { type Board, boards, elsewhere, modules } from './image/boards.ts'
import { bootTest, prepare, telling } from './image/boot-test.ts'
import { makeCard } from './image/disk.ts'
import { runForeign, runsForeign } from './image/foreign.ts'
import { initrd } from './image/initrd.ts'
import { bootPartition, configureSystem, kernelOf, systemScript } from './image/system.ts'

const root = resolve(import.meta.dirname, '..')

const { values: given } = parseArgs({
  options: {
    board: { type: 'string' },
    out: { type: 'string' },
    deb: { type: 'string', default: `dist/colonnade-agent_${version}_arm64.deb` },
    suite: { type: 'string', default: 'bookworm' },
    size: { type: 'string', default: '2048' },
    'first-boot': { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    'boot-test': { type: 'boolean', default: false },
    reuse: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const help = `npm run image -- --board BOARD [options]
${Object.entries(boards)
  .map(([name, board]) => `  ${name.padEnd(9)} ${board.title}\n`)
  .join('')}
  --out FILE            the image (dist/colonnade-BOARD.img)
  --first-boot FOLDER   what is put on its boot partition: colonnade.toml and the member's folder
  --deb FILE            our package for arm64 (from npm run build)
  --suite NAME          of Debian (bookworm)      --size MIB   of the system (2048)
  --dry-run             say what would be done
  --boot-test           make one for a virtual machine, start it, and see it receive a file
  --reuse               of an earlier run, use the installed system again

Debian's packages mmdebstrap, arch-test, qemu-user-static, mtools, dosfstools, fdisk, e2fsprogs are needed, and root: the
files of the system belong to its own users, and its packages are set up inside it. --boot-test needs qemu-system-arm too.`

interface Wanted {
  readonly name: string
  readonly board: Board
  readonly system: string
  readonly boot: string
  readonly image: string
  readonly deb: string
}

function wanted(): Wanted {
  const name = given.board ?? (given['boot-test'] ? 'generic' : undefined)
  if (name === undefined) throw new Error(`which board? ${Object.keys(boards).join(', ')}`)
  const why = elsewhere[name]
  if (why !== undefined) throw new Error(why)
  const board = boards[name]
  if (board === undefined) throw new Error(`${name} is none of ${Object.keys(boards).join(', ')}`)
  const work = join(root, 'dist', `image-${name}`)
  const image = resolve(root, given.out ?? `dist/colonnade-${name}.img`)
  const deb = resolve(root, given.deb)
  return { name, board, image, deb, system: join(work, 'system'), boot: join(work, 'boot') }
}

/** What is done, in order, as sentences and as functions. */
function steps(
  want: Wanted,
  firstBoot?: string,
): [sentence: string, command: string, work: () => unknown][] {
  const { board, system, boot, image, deb } = want
  const script = given.reuse
    ? `cp ${deb} ${system}/tmp/agent.deb\nchroot ${system} dpkg -i /tmp/agent.deb`
    : systemScript(board, given.suite, system, deb)
  const where = runsForeign() ? 'as root' : 'as root of a namespace of its own'
  return [
    [
      `install Debian ${given.suite} and our package, ${where}`,
      script,
      () => install(want, script),
    ],
    [
      'write its configuration',
      `files below ${system}/etc`,
      () => configureSystem(system, given['boot-test'] ? telling : {}),
    ],
    [
      'make the first file system and the boot partition',
      `busybox and ${modules.length} drivers -> ${boot}`,
      () => fillBoot(want, firstBoot),
    ],
    [
      'put it all into one file',
      `mkfs.vfat, mcopy, mke2fs -d, sfdisk, dd -> ${image}`,
      () => makeCard({ image, boot, system, rootMib: Number(given.size) }),
    ],
  ]
}

async function install({ system, deb }: Wanted, script: string): Promise<void> {
  if (!existsSync(deb)) throw new Error(`there is no ${deb}: npm run build`)
  if (!given.reuse) rmSync(system, { recursive: true, force: true })
  mkdirSync(system, { recursive: true })
  await runForeign(script)
}

function fillBoot({ system, board, boot }: Wanted, firstBoot: string | undefined): void {
  rmSync(boot, { recursive: true, force: true })
  bootPartition(system, board, boot, initrd(system, kernelOf(system), modules))
  if (firstBoot !== undefined) cpSync(resolve(root, firstBoot), boot, { recursive: true })
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function main(): Promise<void> {
  if (given.help) return say(help)
  const want = wanted()
  if (given['dry-run']) {
    for (const [sentence, command] of steps(want)) say(`# ${sentence}\n${command}\n`)
    return
  }
  const needed = ['mmdebstrap', 'arch-test', 'mkfs.vfat', 'mcopy', 'mke2fs', 'sfdisk', 'unshare']
  if (given['boot-test']) needed.push('qemu-system-aarch64')
  const missing = needed.filter((one) => spawnSync('which', [one]).status !== 0)
  if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}; see --help`)
  if (process.getuid?.() !== 0) throw new Error('this needs root: sudo npm run image -- …')
  const began = Date.now()
  const tried = { folder: join(root, 'dist', 'boot-test'), say }
  mkdirSync(tried.folder, { recursive: true })
  const firstBoot = given['boot-test'] ? prepare(tried) : given['first-boot']
  for (const [sentence, , work] of steps(want, firstBoot)) {
    say(`${sentence} …`)
    await work()
  }
  say(`${want.image} after ${Math.round((Date.now() - began) / 1000)} s`)
  if (given['boot-test']) await bootTest(want.image, want.system, tried)
}

void main().catch((error) => {
  process.stderr.write(`image: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
