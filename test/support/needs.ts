/** Tests that need more of the machine than others: skipped by name where it has not got it, and never in CI. */
import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'

/** Each of these programs has to be there, and with `root` the right to use them. */
export function needs(t: Test, programs: readonly string[], root = false): { skip?: string } {
  const missing = programs.filter((one) => spawnSync('which', [one]).status !== 0)
  const why =
    missing.length > 0
      ? `${missing.join(', ')}: not installed`
      : root && process.getuid?.() !== 0
        ? 'needs root'
        : undefined
  if (why === undefined) return {}
  if (process.env.REQUIRE_FAULTS === '1') t.fail(why)
  return { skip: why }
}
