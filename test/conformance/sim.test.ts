// The conformance suite on the memory bus.

import t from 'tap'
import { cases } from './cases.ts'
import { groundInSimulation } from './fleet.ts'
import { report } from './report.ts'
import { runCases } from './suite.ts'

const { fleet, ground } = await groundInSimulation('conformance')
const results = await fleet.time.finish(runCases(cases, ground))
report(t, results)
