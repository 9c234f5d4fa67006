/** All pillars of a crowd in one process: as many boards would answer at the same time, on their own processors. */
import { type Crowd, joinAs } from './crowd.ts'

process.once('message', (crowd: Crowd) => {
  void Promise.all(crowd.pillars.map((name) => joinAs(crowd, name))).then(() =>
    process.send?.(true),
  )
})
process.once('disconnect', () => process.exit(0))
