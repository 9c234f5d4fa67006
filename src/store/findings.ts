/** Noting what reading stored bytes has shown: one commit for all of it. */
import type { Change } from '../index/index.ts'
import type { Actor, Finding } from './store.ts'

export const findingChanges = (findings: readonly Finding[], by: Actor): Change[] =>
  findings.map((finding): Change => {
    const { file, at } = finding
    const { collection, id, sequence } = file
    if (finding.is === 'right') return { do: 'proven', collection, id, sequence, at }
    const event = 'fixity check'
    const entry = { at, event, collection, id, ...by, outcome: finding.how }
    return { do: 'damaged', collection, id, sequence, entry }
  })
