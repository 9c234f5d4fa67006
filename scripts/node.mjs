// Runs a script on the Node.js release this project is pinned to, whatever Node.js started us.
// The one plain-JavaScript file: it must run on any Node.js from 18 on, before anything is known.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const binary = findBinary()
if (binary === undefined) {
  console.error(`Node.js 24.21 is not installed here and this is Node.js ${process.version}.`)
  console.error(
    'Run `npm ci` (it brings Node.js 24.21.0 on linux x64 and linux arm64); elsewhere install Node.js 24, 24.21 or newer.',
  )
  process.exit(1)
}

const child = spawn(binary, withAbsoluteScript(process.argv.slice(2)), {
  stdio: 'inherit',
  env: {
    ...process.env,
    PATH: [dirname(binary), process.env.PATH].filter(Boolean).join(delimiter),
  },
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && inForeground()) return // the terminal has told the child itself
    child.kill(signal)
  })
}

child.on('error', (error) => {
  console.error(`Node.js could not be started from ${binary}: ${error.message}.`)
  console.error('Run `npm ci` again; a system without glibc (Alpine) needs its own Node.js 24.')
  process.exit(1)
})

child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  // Only reached by signals that do not end a process, and by the first process of a container.
  setTimeout(() => process.exit(128 + constants.signals[signal]), 100)
})

function findBinary() {
  const brought = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  if (process.platform === 'linux' && existsSync(brought)) return brought
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major === 24 && minor >= 21 ? process.execPath : undefined
}

// The script is the first argument that is no option; `-p CODE` is left as it is.
function withAbsoluteScript(args) {
  const at = args.findIndex((arg) => !arg.startsWith('-'))
  const path = at < 0 ? undefined : resolve(root, args[at])
  if (path === undefined) return args
  const isScript = at === 0 || statSync(path, { throwIfNoEntry: false })?.isFile()
  return isScript ? [...args.slice(0, at), path, ...args.slice(at + 1)] : args
}

// True when a terminal sends its Ctrl-C to our process group, the child included.
function inForeground() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    return process.stdin.isTTY === true || process.stderr.isTTY === true
  }
}
