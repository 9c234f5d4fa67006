/** The programs of others that we are measured against: whether they are here, and how they are run. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Credentials } from '../../test/support/pki.ts'
import type { Turn } from './contest.ts'

const missed = new Set<string>()

/** Whether a program is installed; what is not is said at the end. */
export function isHere(program: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  if (!found) missed.add(program)
  return found
}

/** Programs that were looked for in vain. */
export const missing = (): string[] => [...missed].sort()

/** The first line of what a program says of its version. */
export function versionOf(program: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n')[0] ?? ''
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

/** Processor time of all that this process has started and waited for. */
function childrenMs(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

/** One command of the shell from its start to its end, all its processes together. Rejects when it fails. */
export async function shell(command: string): Promise<Turn> {
  const [began, before] = [performance.now(), childrenMs()]
  const child = spawn('bash', ['-o', 'pipefail', '-c', command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += bytes
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${command}: ${said}`)
  return { ms: performance.now() - began, processorMs: childrenMs() - before }
}

export interface Running {
  readonly pid: number
  end(): Promise<void>
}

const running = (child: ChildProcess, pid = child.pid ?? 0): Running => ({
  pid,
  async end() {
    if (child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill()
    await ended
  },
})

export async function listens(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { status } = spawnSync('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`])
    if (status === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing listens on port ${port}`)
}

/** nginx that serves and takes files below `home`/www by HTTPS, in one process. */
export async function startNginx(
  home: string,
  port: number,
  { cert, key }: Credentials,
): Promise<Running> {
  writeFileSync(join(home, 'nginx.pem'), cert)
  writeFileSync(join(home, 'nginx.key'), key, { mode: 0o600 })
  const config = `
daemon off; master_process off; user root; pid ${home}/nginx.pid; error_log ${home}/nginx.log;
events { worker_connections 128; }
http {
  access_log off; client_max_body_size 0; client_body_temp_path ${home}/www/.body;
  server {
    listen 127.0.0.1:${port} ssl; root ${home}/www;
    ssl_certificate ${home}/nginx.pem; ssl_certificate_key ${home}/nginx.key;
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    location / { dav_methods PUT; }
  }
}
`
  writeFileSync(join(home, 'nginx.conf'), config)
  const child = spawn('nginx', ['-c', join(home, 'nginx.conf')], { stdio: 'ignore' })
  await listens(port)
  return running(child)
}

export async function startRclone(
  home: string,
  port: number,
  { cert, key }: Credentials,
): Promise<Running> {
  writeFileSync(join(home, 'rclone.pem'), cert)
  writeFileSync(join(home, 'rclone.key'), key, { mode: 0o600 })
  const tls = ['--cert', join(home, 'rclone.pem'), '--key', join(home, 'rclone.key')]
  const where = ['--addr', `127.0.0.1:${port}`, ...tls, '--config', '/dev/null']
  const child = spawn('rclone', ['serve', 'webdav', join(home, 'www'), ...where], {
    stdio: 'ignore',
  })
  await listens(port)
  return running(child)
}
