import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { calmNet, simNet } from '../../src/sim/net.ts'
import { simRandom } from '../../src/sim/random.ts'
import { httpsDial, httpsServe } from '../../src/transfer/https.ts'
import { quiet, testAuthority } from '../transfer/authority.ts'
import { transferContract } from './transfer.ts'

transferContract(t, 'HTTPS', async (t) => {
  const authority = await testAuthority()
  return {
    nowhere: 'https://127.0.0.1:9',
    idleMs: 400,
    serve: async (identity, serve) => {
      const tls = await authority.credentials(identity)
      const served = await httpsServe({ host: '127.0.0.1', port: 0, tls, serve, world: quiet })
      t.teardown(() => served.close())
      return { url: `https://127.0.0.1:${served.port}`, close: served.close }
    },
    dialAs: (identity) => {
      const dialling = authority
        .credentials(identity)
        .then((tls) => httpsDial({ tls, world: quiet }))
      t.teardown(async () => (await dialling).close())
      return async (...args) => (await dialling)(...args)
    },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    monotonic: () => performance.now(),
    run: (work) => work(),
  }
})

transferContract(t, 'simulated net', async () => {
  const time = simClock()
  const net = simNet({ clock: time.clock, random: simRandom(1), faults: calmNet() })
  let hosts = 0
  return {
    nowhere: 'https://10.0.0.255:1',
    idleMs: 30_000,
    serve: async (identity, serve) => {
      const url = `https://10.0.0.${++hosts}:8443`
      const { close } = net.serveAs(identity, url, serve)
      return { url, close: async () => close() }
    },
    dialAs: net.dialAs,
    sleep: time.clock.sleep,
    monotonic: time.clock.monotonic,
    run: (work) => time.finish(work()),
  }
})
