// All cases of the conformance suite.

import { endurance } from './cases/endurance.ts'
import { get } from './cases/get.ts'
import { listings } from './cases/listings.ts'
import { messages } from './cases/messages.ts'
import { put } from './cases/put.ts'
import { removal } from './cases/removal.ts'
import { trail } from './cases/trail.ts'
import type { Case } from './suite.ts'

export const cases: readonly Case[] = [
  ...messages,
  ...put,
  ...get,
  ...listings,
  ...removal,
  ...trail,
  ...endurance,
]
