/** The licences of everything that is inside our programs: they ask to be handed on with it. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './bundle.ts'

/** `packages` are folders below node_modules, as the bundler found them. */
export function licences(packages: Iterable<string>, nodeLicence: string): string {
  const parts = [
    `Colonnade\n\n${readFileSync(join(root, 'LICENSE'), 'utf8')}`,
    `Node.js\n\n${nodeLicence}`,
  ]
  for (const name of [...packages].sort()) {
    const folder = join(root, 'node_modules', name)
    const [file] = globSync('LICEN[CS]E*', { cwd: folder }).sort()
    const { license, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const terms =
      file !== undefined && existsSync(join(folder, file))
        ? readFileSync(join(folder, file), 'utf8')
        : `Licence: ${license}\n`
    parts.push(`${name} ${version}\n\n${terms}`)
  }
  return parts.map((part) => `${part.trimEnd()}\n`).join(`\n${'-'.repeat(80)}\n\n`)
}
