/** The tracker moves to another name or port: the owner says so to all, and its configuration is changed. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseDocument, withAddress } from '../protocol/document.ts'
import { unseal } from '../protocol/envelope.ts'
import { rewriteConfig } from '../system/config.ts'
import { type TrackerConfig, trackerShape } from '../system/config-shapes.ts'
import { documentBeside } from '../system/member.ts'
import { documentBytesMax, sealDocument } from '../trust/directory.ts'
import { lockNow, signingKeys } from './signing.ts'

export interface Moving {
  /** `HOST` or `HOST:PORT` of the exchange; the port stays when it is not said. */
  readonly address: string
  /** Port of the broker, if it is another. */
  readonly brokerPort?: string
}

export interface Moved {
  readonly exchange: string
  readonly broker: string
  /** Ports are others: what runs listens on the old ones until it is started anew. */
  readonly restart: boolean
}

/** Throws with a sentence. The running tracker takes the document at once. */
export function setAddress(file: string, config: TrackerConfig, to: Moving): Moved {
  const keys = signingKeys(config['owner-key'])
  if (!keys) throw new Error('the owner key is not here: put it back for as long as it takes')
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/.test(to.address))
    throw new Error(`${to.address} is no address: HOST or HOST:PORT`)
  const [before, broker] = [new URL(config['exchange.urls'][0] ?? ''), config['broker.url']]
  const next = new URL(`https://${to.address}`)
  const port = /:\d+$/.test(to.address) ? next.port || '443' : before.port || '443'
  const exchange = `https://${next.hostname}:${port}`
  const listen = config['broker.listen']
  // At the port of the exchange it goes where that goes; one of its own does not move with us.
  const isShared = listen === 'exchange'
  if (to.brokerPort !== undefined && (isShared || listen === ''))
    throw new Error('the broker has no port of its own here')
  const brokerPort = isShared ? port : (to.brokerPort ?? new URL(broker).port)
  const { protocol, pathname } = new URL(broker)
  const path = pathname === '/' ? '' : pathname
  const now = listen === '' ? broker : `${protocol}//${next.hostname}:${brokerPort}${path}`
  const home = dirname(documentBeside(config))
  const unlock = lockNow(home)
  try {
    const place = documentBeside(config)
    const parts = unseal(readFileSync(place), documentBytesMax)
    const document = parts && parseDocument(parts.line)
    if (!document) throw new Error(`${place} is damaged`)
    const moved = withAddress(document, exchange, { now, before: broker })
    const [version, issuedAt] = [document.version + 1, new Date().toISOString()]
    writeFileSync(`${place}.new`, sealDocument({ ...moved, version, issuedAt }, keys.owner), {
      flush: true,
    })
    renameSync(`${place}.new`, place)
  } finally {
    unlock()
  }
  const own = listen !== '' && !isShared
  const listens = { 'exchange.listen': port, ...(own ? { 'broker.listen': brokerPort } : {}) }
  const changed = Object.entries(listens).map(
    ([key, to]) => [key, config[key as keyof typeof listens].replace(/\d+$/, to)] as const,
  )
  const restart = changed.some(([key, value]) => config[key as keyof typeof listens] !== value)
  rewriteConfig(file, trackerShape, {
    ...Object.fromEntries(restart ? changed : []),
    'exchange.urls': [exchange],
    'broker.url': now,
  })
  return { exchange, broker: now, restart }
}
