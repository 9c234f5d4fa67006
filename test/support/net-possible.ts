import type { Test } from 'tap'
import { noNetworks } from './net-hosts.ts'

/** Options of a test that needs made-up networks: skipped by name where there can be none, and never in CI. */
export function needsNetworks(t: Test): { skip?: string } {
  const why = noNetworks()
  if (why === undefined) return {}
  if (process.env.REQUIRE_FAULTS === '1') t.fail(`made-up networks: ${why}`)
  return { skip: why }
}

/** Full size on demand; a hundredth to a tenth of it in CI. */
export const scaled = (full: number, small: number): number =>
  process.env.MEASURE_FULL === '1' ? full : small
