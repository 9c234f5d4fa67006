/** A board is replaced beside a full disk: how long until the archive is safe again, and what is sent for it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replaceBoard } from '../../test/support/replaced.ts'
import { inSeconds, type Measurement, markdown, tell } from './table.ts'

export const replaced: Measurement = async ({ scale, nodeOptions }) => {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-replaced-'))
  try {
    const files = 100_000 * scale
    const ports = [28_443, 28_883] as const
    const found = await replaceBoard({ home, files, ports, nodeOptions, tell })
    return markdown(
      [`${files} files of 1 kB`, 'until safe', 'of it to enrol', 'files sent', 'files touched'],
      [
        [
          'another board takes the disk and the name',
          inSeconds(found.ms),
          inSeconds(found.enrolledMs),
          `${found.stored}`,
          `${found.touched}`,
        ],
      ],
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
