// Results of the conformance suite, as tests.

import type { Test } from 'tap'
import { cases } from './cases.ts'
import type { Need, Result } from './suite.ts'

/** All cases have passed, but those that need what there is `without` here. */
export function report(t: Test, results: readonly Result[], without: readonly Need[] = []): void {
  for (const result of results) {
    if (result.is === 'passed') t.pass(result.name)
    if (result.is === 'failed') t.fail(`${result.name}: ${result.why}`)
  }
  const left = cases.filter(({ needs = [] }) => needs.some((need) => without.includes(need)))
  t.same(
    results.filter((one) => one.is === 'not run').map(({ name }) => name),
    left.map(({ name }) => name),
    'not run is only what nobody here can do',
  )
}
