/** Files of 10 kB: made durable by one store, and put as a whole by command line, broker and three pillars. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { smallFiles } from '../../test/support/net-files.ts'
import { makePki } from '../../test/support/pki.ts'
import { inBox, pillars, type Step } from '../measure/box.ts'
import { type Contender, contest, median, whileWatched } from './contest.ts'
import { isHere, shell } from './peers.ts'
import { type Bench, type Result, type Row, tell } from './result.ts'
import { startStation } from './station.ts'

export const small: Row = async (bench) => [...(await durable(bench)), ...(await whole(bench))]

/** Write, fdatasync, rename, fsync of the folder, for each file: the loop that whoever cares writes first. */
const loop = `
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  static char bytes[10000]; char part[4096], path[4096];
  int folder = open(argv[1], O_RDONLY | O_DIRECTORY), count = atoi(argv[2]);
  if (folder < 0 || argc < 3) return 1;
  for (int n = 0; n < count; n++) {
    snprintf(part, sizeof part, "%s/.%d", argv[1], n); snprintf(path, sizeof path, "%s/%d", argv[1], n);
    int file = open(part, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file < 0 || write(file, bytes, sizeof bytes) != sizeof bytes || fdatasync(file)) return 1;
    close(file);
    if (rename(part, path) || fsync(folder)) return 1;
  }
  return 0;
}
`

async function durable({ home, quick, rounds }: Bench): Promise<Result[]> {
  if (!isHere('cc')) return []
  tell('small files, durable')
  const count = quick ? 200 : 1_000
  writeFileSync(join(home, 'loop.c'), loop)
  spawnSync('cc', ['-O2', '-o', join(home, 'loop'), join(home, 'loop.c')])
  const tls = await (await makePki()).credentialsOf('source')
  const setting = { file: join(home, 'loop.c'), size: 1, checksum: '', tls }
  const station = await startStation({ ...setting, is: 'ours', home: join(home, 'ours') })
  const folder = join(home, 'looped')
  const emptied = (path: string): void => {
    for (const name of readdirSync(path)) rmSync(join(path, name))
  }
  const peer: Contender = {
    name: 'a loop in C, file by file',
    async turn() {
      mkdirSync(folder, { recursive: true })
      const turn = await shell(`${home}/loop ${folder} ${count}`)
      emptied(folder)
      return turn
    },
  }
  const ours: Contender = {
    name: 'ours',
    async turn() {
      const turn = await whileWatched([station.pid], () => station.order({ do: 'store', count }))
      emptied(join(home, 'ours/colonnade/home/data'))
      return turn
    },
  }
  const result = await contest(ours, [peer], rounds)
  await station.end()
  const [theirs] = result.peers
  const rate = (ms: number): string => `${((count / ms) * 1000).toFixed(0)} files/s`
  if (!theirs) return []
  const faster = 1 / theirs.time
  return [
    {
      job: '10 kB, durable, one file each, with index and audit trail (files/s)',
      ours: `${rate(result.ours.ms)}, ${(result.ours.processorMs / count).toFixed(2)} ms of CPU`,
      ratio: faster,
      peer: theirs.name,
      theirs: rate(theirs.ms),
      reach: '≥ 1.3',
      met: faster >= 1.3,
    },
  ]
}

function whole({ quick, rounds }: Bench): Promise<Result[]> {
  return inBox([], async ({ home, step }) => {
    const count = quick ? 300 : 2_000
    const steps: Step[] = []
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      tell(`put ${count} small files`)
      const source = smallFiles(join(home, `source-${round}`), count, 10_000)
      steps.push(await step('put', 'home', source, '--as', `${round}`, '--wait', 'all'))
    }
    const rate = median(steps.map(({ ms }) => (count / ms) * 1000))
    const cost = (name: string): string =>
      `${median(steps.map(({ usage }) => (usage[name]?.processorMs ?? 0) / count)).toFixed(1)} ms`
    const costs = ['client', ...pillars.slice(0, 1), 'tracker'].map((one) => `${one} ${cost(one)}`)
    return [
      {
        job: '10 kB, whole put with 3 durable copies (command line, broker, 3 pillars)',
        ours: `${rate.toFixed(0)} files/s; CPU a file: ${costs.join(', ')}`,
        reach: '≥ 150 files/s',
        met: rate >= 150,
      },
    ]
  })
}
