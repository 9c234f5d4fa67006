/** `npm run bundle [FOLDER]`: each program as one CommonJS file that needs nothing beside it but Node.js. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bundle, root } from './build/bundle.ts'

void bundle(resolve(process.argv[2] ?? join(root, 'dist'))).then(
  ({ paths }) => {
    for (const path of Object.values(paths))
      process.stdout.write(`${path}  ${statSync(path).size} bytes\n`)
  },
  (error) => {
    process.stderr.write(`bundle: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
