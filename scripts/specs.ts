/** `npm run specs`: writes deploy/asyncapi.json anew from the schemas in src/protocol. A test says when it is due. */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { asyncApiText } from './specs/asyncapi.ts'

const path = join(dirname(import.meta.dirname), 'deploy/asyncapi.json')
const text = asyncApiText()
writeFileSync(path, text)
process.stdout.write(`${path}  ${text.length} characters\n`)
