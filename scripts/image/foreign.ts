/** Running programs for arm64 inside a file system, on whatever processor this is. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const emulator = '/usr/bin/qemu-aarch64-static'

/** How the kernel knows a program for arm64: the start of its file, and which bits of it count. */
const registration = [
  ':qemu-aarch64:M::',
  '\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:',
  '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:',
  `${emulator}:OCF`,
].join('')

/** Whether the kernel starts programs for arm64 by itself. */
export function runsForeign(): boolean {
  if (process.arch === 'arm64') return true
  const folder = '/proc/sys/fs/binfmt_misc'
  return ['qemu-aarch64', 'qemu-aarch64-static'].some((name) => existsSync(`${folder}/${name}`))
}

/**
 * Runs a shell script as root where programs for arm64 are started: here, or in a namespace of its own with the emulator
 * registered (Linux 6.7 and newer), so that nothing of this machine is changed.
 */
export async function runForeign(script: string): Promise<void> {
  if (runsForeign()) return finish(spawnSync('sh', ['-ec', script], { stdio: 'inherit' }).status)
  const register = `mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf '%s' '${registration}' >/proc/sys/fs/binfmt_misc/register`
  const args = ['--user', '--mount', '--propagation', 'private', 'sh', '-ec']
  const child = spawn('unshare', [...args, `read go\n${register}\n${script}`], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const maps = ['uid_map', 'gid_map'].map((name) => `/proc/${child.pid}/${name}`)
  // The maps can be written once the child is in a namespace of its own, where they are empty.
  for (let tries = 0; tries < 100 && readFileSync(maps[0] ?? '', 'utf8') !== ''; tries++)
    await sleep(50)
  for (const map of maps) writeFileSync(map, '0 0 65536')
  child.stdin.end('go\n')
  const [status] = await once(child, 'exit')
  finish(status)
}

function finish(status: number | null): void {
  if (status !== 0) throw new Error('a step for arm64 failed; what it said stands above')
}
