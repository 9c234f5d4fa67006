import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { systemHashing } from '../../src/system/hashing.ts'
import { hashingContract } from './hashing.ts'

hashingContract(t, 'system', systemHashing())
hashingContract(t, 'simulated', simWorld(simClock().clock, simRandom(1), 'test').hashing)
