/** `colonnade-agent rebuild index|bag VOLUME`: the index from the bags, or the lists of the bags from the index. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { diskErrorCode } from '../disk/disk.ts'
import { staleBag } from '../index/index.ts'
import { consistency, isConsistent } from '../store/consistency.ts'
import { readIdentity } from '../store/identity.ts'
import { anew, indexFile, openSoundIndex } from '../store/sound-index.ts'
import { openVolume } from '../store/volume.ts'
import type { Command } from '../system/commands.ts'
import { type AgentConfig, agentShape } from '../system/config-shapes.ts'
import { openVolumeThread, type VolumeThread } from '../system/volume-thread.ts'
import { configOf } from './machine.ts'
import { openWorld, read } from './program.ts'

interface RebuildOptions {
  readonly config?: string
  readonly dryRun?: true
}

export function rebuildCommands(program: Command): void {
  const rebuild = program
    .command('rebuild')
    .description('make the index of a volume anew from its bags, or the lists of the bags from it')
  const add = (what: 'index' | 'bag', description: string, run: Run): void => {
    rebuild
      .command(`${what} <volume>`)
      .description(description)
      .option('--config <file>', 'the configuration of the pillar')
      .option('--dry-run', 'only say what differs; nothing is changed')
      .addHelpText(
        'after',
        `\nThe agent must not run. <volume> is where its disk is mounted. No file is touched or deleted.\nExample:\n  sudo systemctl stop colonnade-agent\n  sudo -u colonnade-agent colonnade-agent rebuild ${what} /mnt/disk`,
      )
      .action((mount: string, options: RebuildOptions) => onVolume(mount, options, run))
  }
  add('index', 'the index anew from manifests and files; the old one is put aside', rebuildIndexOf)
  add('bag', 'manifests and the other lists anew from the index', rebuildBagOf)
}

interface Work {
  readonly config: AgentConfig
  readonly thread: VolumeThread
}
type Run = (work: Work) => Promise<void>

async function onVolume(mount: string, options: RebuildOptions, run: Run): Promise<void> {
  const config = read(configOf(options), agentShape)
  if (config.kind === 'checksum')
    throw new Error(
      'this pillar keeps checksums only, so that nothing on its disk proves its index: adopt an empty disk for it, and the archive tells it anew',
    )
  const root = join(mount, 'colonnade')
  if (!existsSync(join(root, 'volume.json')))
    throw new Error(`there is no volume at ${mount}: name the folder where its disk is mounted`)
  const thread = await openVolumeThread({ root })
  try {
    await (options.dryRun ? compare : run)({ config, thread })
  } catch (error) {
    if (diskErrorCode(error) !== 'busy') throw error
    throw new Error('the agent is running on this volume: stop it first, then say this again')
  } finally {
    await thread.close()
  }
}

async function compare({ thread: { disk, openIndex } }: Work): Promise<void> {
  const index = await openIndex((await disk.stat(indexFile)) ? indexFile : ':memory:')
  for await (const one of consistency(disk, index)) {
    const { collection, rows, lines } = one
    tell(`${collection}: ${rows} files in the index, ${lines} lines in the manifest`)
    if (isConsistent(one)) continue
    tell(`  ${one.linesWithoutRow} lines without a row, ${one.rowsWithoutLine} rows without a line`)
    tell(`  ${one.differing} with another checksum in the index than in the manifest`)
    tell(`  ${one.rowsWithoutPayload} files are not there, ${one.payloadsWithoutRow} are unknown`)
    process.exitCode = 1
  }
}

async function rebuildIndexOf({ config, thread }: Work): Promise<void> {
  const { disk, openIndex } = thread
  const identity = await readIdentity(disk, { pillar: config.name, archive: config.archive })
  // Whoever runs on this volume has it.
  if (await disk.stat(indexFile)) await openable(thread)
  const index = await anew({
    ...{ world: openWorld(config), disk, identity, open: openIndex },
    lost: tell,
    progress: bar(),
  })
  await index.close()
}

/** Rejects while somebody else has it; that it is damaged is no hindrance. */
async function openable({ openIndex }: VolumeThread): Promise<void> {
  try {
    await (await openIndex(indexFile)).close()
  } catch (error) {
    if (diskErrorCode(error) !== 'corrupt') throw error
  }
}

async function rebuildBagOf({ config, thread }: Work): Promise<void> {
  const { disk, openIndex } = thread
  const world = openWorld(config)
  const owner = { pillar: config.name, archive: config.archive }
  const identity = await readIdentity(disk, owner)
  const index = await openSoundIndex({ world, disk, identity, open: openIndex, lost: tell })
  const all = await index.summary()
  await index.commit(
    all.map(({ collection }) => ({ do: 'fact', key: staleBag(collection), value: 'yes' })),
  )
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  await store.flush()
  await store.close()
  for (const { collection, files } of all) tell(`${collection}: lists of ${files} files`)
}

/** On a terminal only. */
function bar(): (done: number, all: number) => void {
  if (!process.stderr.isTTY) return () => undefined
  return (done, all) => {
    const percent = all === 0 ? 100 : Math.floor((100 * done) / all)
    process.stderr.write(`\r${'='.repeat(percent >> 1).padEnd(50)} ${percent} %`)
    if (percent === 100) process.stderr.write('\n')
  }
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
