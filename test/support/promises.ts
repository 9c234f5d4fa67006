/**
 * Loaded before each test file: tap would watch every promise, to know which test a rejection belongs to that nobody handles.
 * That takes as long as what the simulations do. Without it such a rejection ends the whole file, which fails as well.
 */
import hooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

const { createHook } = hooks
hooks.createHook = (callbacks) => createHook({ ...callbacks, trackPromises: false })
syncBuiltinESMExports()
