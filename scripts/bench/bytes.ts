/** Large files: taken in, fetched, given out and read again, by our parts and by the programs of others. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  createReadStream,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { bigFile } from '../../test/support/net-files.ts'
import { makePki } from '../../test/support/pki.ts'
import { type Contender, contest, whileWatched } from './contest.ts'
import { freePort, isHere, type Running, shell, startNginx, startRclone } from './peers.ts'
import { type Bench, type Result, type Row, resultsOf, tell } from './result.ts'
import { type Setting, type Station, startStation } from './station.ts'

interface Ground {
  readonly bench: Bench
  readonly file: string
  /** Served by nginx. */
  readonly path: string
  readonly setting: Omit<Setting, 'is' | 'home'>
  /** Arguments with which curl is a member of the archive. */
  readonly curl: string
  readonly station: Station
  readonly plain: Station
  readonly nginx: (Running & { readonly port: number }) | undefined
  readonly rclone: (Running & { readonly port: number }) | undefined
}

export const bytes: Row = async (bench) => {
  if (!isHere('curl')) return []
  const ground = await open(bench)
  const results: Result[] = []
  for (const row of [receive, fetch, serve, scrub]) results.push(...(await row(ground)))
  for (const one of [ground.station, ground.plain, ground.nginx, ground.rclone]) await one?.end()
  return results
}

async function open(bench: Bench): Promise<Ground> {
  const { home } = bench
  tell('make a file')
  const file = join(bigFile(home, 'file.bin', bench.bytes), 'file.bin')
  const hash = createHash('sha256')
  for await (const part of createReadStream(file)) hash.update(part)
  const pki = await makePki()
  const tls = await pki.credentialsOf('source')
  const setting = { file, size: bench.bytes, checksum: hash.digest('hex'), tls }
  for (const [name, text] of Object.entries(tls)) writeFileSync(join(home, `tls.${name}`), text)
  const path = `objects/bench/${'file'.padEnd(22, '0')}`
  mkdirSync(join(home, 'www/objects/bench'), { recursive: true })
  copyFileSync(file, join(home, 'www', path))
  const station = await startStation({ ...setting, is: 'ours', home: join(home, 'ours') })
  const plain = await startStation({ ...setting, is: 'plain', home: join(home, 'plain') })
  const started = async (program: string, start: typeof startNginx) => {
    if (!isHere(program)) return undefined
    const port = await freePort()
    return { ...(await start(home, port, tls)), port }
  }
  const curl = `curl -sf --tlsv1.3 --cacert ${home}/tls.ca --cert ${home}/tls.cert --key ${home}/tls.key -k`
  const nginx = await started('nginx', startNginx)
  const rclone = await started('rclone', startRclone)
  return { bench, file, path, setting, curl, station, plain, nginx, rclone }
}

/** Brings the file, and watches who takes it in. */
const taking = (
  name: string,
  { pid }: Running,
  command: string,
  after?: () => void,
): Contender => ({
  name,
  async turn() {
    const turn = await whileWatched([pid], async () => void (await shell(command)))
    after?.()
    return turn
  },
})

/** What one of our stations has stored. */
const storeOf = ({ home }: Bench): string => join(home, 'ours/colonnade/home/data')

/** By us, and not by who is measured: to forget a large file takes time, too. */
function emptied(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name))
}

async function receive(ground: Ground): Promise<Result[]> {
  tell('receive')
  const { bench, curl, file, station, plain, nginx, rclone } = ground
  const to = (port: number): string => `-T ${file} https://127.0.0.1:${port}/up.bin`
  const clear = (): void => rmSync(join(bench.home, 'www/up.bin'))
  const clearPlain = (): void => emptied(join(bench.home, 'plain/plain'))
  const name = 'pipeline into a write stream, with hash'
  const peers = [
    taking(name, plain, `${curl} ${to(plain.port)}`, clearPlain),
    ...(nginx
      ? [taking('nginx PUT, no hash, no sync', nginx, `${curl} ${to(nginx.port)}`, clear)]
      : []),
    ...(rclone
      ? [taking('rclone serve webdav, no sync', rclone, `${curl} ${to(rclone.port)}`, clear)]
      : []),
  ]
  const command = `${curl} -X PATCH ${to(station.port)}`
  const ours = taking('ours', station, command, () => emptied(storeOf(bench)))
  const result = await contest(ours, peers, bench.rounds)
  return resultsOf('receive by HTTPS, SHA-256, fdatasync', bench.bytes, result, { [name]: 0.55 })
}

async function fetch({ bench, curl, path, station, nginx }: Ground): Promise<Result[]> {
  if (!nginx || !isHere('openssl')) return []
  tell('fetch')
  const from = `https://127.0.0.1:${nginx.port}/${path}`
  const out = join(bench.home, 'down.bin')
  const command = (name: string, text: string): Contender => ({
    name,
    async turn() {
      const turn = await shell(text)
      rmSync(out)
      return turn
    },
  })
  const peers = [
    command('curl, tee, openssl dgst', `${curl} ${from} | tee ${out} | openssl dgst -sha256`),
    command('curl -o, no hash, sync', `${curl} -o ${out} ${from} && sync -d ${out}`),
  ]
  const ours: Contender = {
    name: 'ours',
    async turn() {
      const order = { do: 'pull', port: nginx.port } as const
      const turn = await whileWatched([station.pid], () => station.order(order))
      emptied(storeOf(bench))
      return turn
    },
  }
  const result = await contest(ours, peers, bench.rounds)
  const reach = { 'curl, tee, openssl dgst': 0.5 }
  return resultsOf('fetch by HTTPS, SHA-256, fdatasync', bench.bytes, result, reach)
}

async function serve({ bench, curl, path, station, nginx }: Ground): Promise<Result[]> {
  if (!nginx) return []
  tell('serve')
  const get = (port: number): string => `${curl} -o /dev/null https://127.0.0.1:${port}/${path}`
  const ours = taking('ours', station, get(station.port))
  const name = 'nginx, no kTLS'
  const result = await contest(ours, [taking(name, nginx, get(nginx.port))], bench.rounds)
  return resultsOf('serve by HTTPS', bench.bytes, result, { [name]: 1 })
}

/** Forgets what memory holds of a file. */
const forget = (file: string): void =>
  void spawnSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'])

async function scrub({ bench, file, station }: Ground): Promise<Result[]> {
  if (!isHere('openssl')) return []
  tell('scrub')
  const cold = (name: string, text: string): Contender => ({
    name,
    turn: () => {
      forget(file)
      return shell(text)
    },
  })
  const peers = [
    cold('openssl dgst', `openssl dgst -sha256 ${file}`),
    ...(isHere('sha256sum') ? [cold('sha256sum', `sha256sum ${file}`)] : []),
  ]
  const ours: Contender = {
    name: 'ours',
    turn: () => whileWatched([station.pid], () => station.order({ do: 'scrub' })),
  }
  const result = await contest(ours, peers, bench.rounds)
  const reach = { 'openssl dgst': 0.4 }
  return resultsOf('read again from the medium, cold', bench.bytes, result, reach)
}
