/**
 * Hosts of a made-up network, each a namespace of its own: some on one switch, which is a router too, and one far
 * away behind it. A cable can be pulled, a port can fall silent, two hosts can be hidden from each other.
 */
import { spawnSync } from 'node:child_process'

export interface Network {
  /** What to put before a command so that it runs on this host. */
  on(host: string): readonly string[]
  address(host: string): string
  /** Pulls the cable out of the switch; both sides see it. */
  unplug(host: string): void
  plug(host: string): void
  /** Packets vanish without a word, in both directions. */
  silence(host: string): void
  /** The hosts of the switch reach the far host only, and not each other. */
  hide(hosts: readonly string[]): void
  show(hosts: readonly string[]): void
  /** Bits a second that the host receives at most. */
  slowDown(host: string, bits: number): void
  /** Bytes that crossed the host's only link, as the host sees them. */
  bytes(host: string): { readonly received: number; readonly sent: number }
  close(): void
}

const farAddress = '10.72.0.2'
let networks = 0

/** Why there can be no such network here; undefined when there can. */
export function noNetworks(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root'
  const probe = `colprobe${process.pid}`
  if (!works('ip', 'netns', 'add', probe)) return 'needs iproute2 and the right to make namespaces'
  const bridged =
    works('ip', '-n', probe, 'link', 'add', 'br0', 'type', 'bridge') &&
    works('ip', '-n', probe, 'link', 'add', 'p0', 'type', 'veth', 'peer', 'name', 'q0') &&
    works('ip', '-n', probe, 'link', 'set', 'p0', 'master', 'br0')
  ip('netns', 'del', probe)
  return bridged ? undefined : 'needs a kernel with bridges and veth'
}

/** A switch with `near` hosts 10.71.0.11 and on, and the host `far` behind it. */
export function makeNetwork(near: readonly string[], far: string): Network {
  const id = `col${process.pid}n${++networks}`
  const space = (host: string): string => `${id}${host}`
  const sw = space('switch')
  const portOf = (host: string): string => `p${near.indexOf(host)}`
  const inSwitch = (...args: string[]): void => void ip('-n', sw, ...args)

  const spaces = [sw, ...[...near, far].map(space)]
  for (const one of spaces) {
    ip('netns', 'add', one)
    ip('-n', one, 'link', 'set', 'lo', 'up')
  }
  run('ip', 'netns', 'exec', sw, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  inSwitch('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
  inSwitch('addr', 'add', '10.71.0.1/24', 'dev', 'br0')
  inSwitch('link', 'set', 'br0', 'up')
  const cable = (host: string, port: string, address: string, gateway: string): void => {
    const end = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', space(host)]
    inSwitch('link', 'add', port, ...end)
    ip('-n', space(host), 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', space(host), 'link', 'set', 'eth0', 'up')
    inSwitch('link', 'set', port, 'up')
    ip('-n', space(host), 'route', 'add', 'default', 'via', gateway)
  }
  for (const [n, host] of near.entries()) {
    cable(host, portOf(host), `10.71.0.${11 + n}`, '10.71.0.1')
    inSwitch('link', 'set', portOf(host), 'master', 'br0')
  }
  cable(far, 'wan', farAddress, '10.72.0.1')
  inSwitch('addr', 'add', '10.72.0.1/24', 'dev', 'wan')

  const isolate = (hosts: readonly string[], how: 'on' | 'off'): void => {
    for (const host of hosts)
      inSwitch('link', 'set', portOf(host), 'type', 'bridge_slave', 'isolated', how)
  }
  return {
    on: (host) => ['ip', 'netns', 'exec', space(host)],
    address: (host) => (host === far ? farAddress : `10.71.0.${11 + near.indexOf(host)}`),
    unplug: (host) => inSwitch('link', 'set', portOf(host), 'down'),
    plug(host) {
      inSwitch('link', 'set', portOf(host), 'up')
      inSwitch('link', 'set', portOf(host), 'master', 'br0')
    },
    silence: (host) => inSwitch('link', 'set', portOf(host), 'nomaster'),
    hide: (hosts) => isolate(hosts, 'on'),
    show: (hosts) => isolate(hosts, 'off'),
    slowDown(host, bits) {
      const shape = ['tbf', 'rate', `${bits}bit`, 'burst', '64kb', 'latency', '100ms']
      run('tc', '-n', sw, 'qdisc', 'replace', 'dev', portOf(host), 'root', ...shape)
    },
    bytes(host) {
      const [link] = JSON.parse(ip('-n', space(host), '-j', '-s', 'link', 'show', 'dev', 'eth0'))
      return { received: link.stats64.rx.bytes, sent: link.stats64.tx.bytes }
    },
    close() {
      for (const one of spaces) works('ip', 'netns', 'del', one)
    },
  }
}

const ip = (...args: string[]): string => run('ip', ...args)

const works = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${stderr.trim()}`)
  return stdout
}
