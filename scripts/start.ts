/** `npm start [-- FOLDER] [--once]`: an archive in a box. */
import { startBox } from './box/box.ts'

void startBox(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    process.stderr.write(
      `colonnade: error: ${error instanceof Error ? error.message : String(error)}\n`,
    )
    process.exitCode = 1
  },
)
