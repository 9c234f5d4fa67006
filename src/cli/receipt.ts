/** `put --receipt` and `receipt verify`: what pillars sign of files, and whether that is genuine. */
import { readFileSync, writeFileSync } from 'node:fs'
import { receiptsOf } from '../client/receipts.ts'
import {
  openReceipt,
  parseReceiptFile,
  type Receipt,
  type ReceiptFile,
} from '../protocol/custody.ts'
import { keepersOf } from '../protocol/document.ts'
import { timeText } from '../protocol/scalars.ts'
import type { Command } from '../system/commands.ts'
import { nodeKeys, vouchedFor } from '../trust/keys.ts'
import { formatBytes } from '../world/units.ts'
import type { Desk } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText, many, type Output } from './output.ts'
import { type CommonOptions, offline, ownAuthority, typedPath } from './session.ts'

/** Makes a command with the flags that every command has. */
type Make = (syntax: string, description: string, example: string, parent?: Command) => Command

export function receiptCommands(program: Command, command: Make): void {
  const receipt = program
    .command('receipt')
    .description('What pillars have signed of files, as `put --receipt` writes it.')
  command(
    'verify <file>',
    'Checks it, without the archive: by the certificate of its authority alone.',
    'colonnade receipt verify pictures.receipts --ca ca.pem',
    receipt,
  )
    .option('--ca <file>', 'that certificate; of the archive of this computer otherwise', typedPath)
    .action((file: string, options: CommonOptions & { ca?: string }) =>
      offline(options, (out) => {
        const { ca } = options
        const authority = ca === undefined ? ownAuthority(options) : readFileSync(ca, 'utf8')
        return verifyReceipts(out, typedPath(file), authority)
      }),
    )
}

/** Asks everybody who keeps the collection, and writes what they sign of these files. */
export async function writeReceipts(
  desk: Desk,
  collection: string,
  ids: readonly string[],
  file: string,
): Promise<void> {
  const { client, out, signal, authority = '' } = desk
  const document = client.directory.document()
  const policy = client.directory.collection(collection)
  const keepers = policy ? keepersOf(document, policy) : []
  const receipts: ReceiptFile['receipts'] = []
  for (const pillar of keepers) {
    const certificate = client.directory.identity(pillar)?.certificate
    const given = await receiptsOf(client, collection, pillar, ids, signal)
    if (given.why !== undefined) out.warn(`no receipt of ${pillar}: ${given.why}`)
    if (certificate === undefined) continue
    for (const receipt of given.receipts) receipts.push({ certificate, receipt })
  }
  const madeAt = timeText(client.world.clock.now())
  const whole: ReceiptFile = {
    ...{ colonnadeReceipts: 1, archive: document.archive, madeAt, authority, receipts },
  }
  writeFileSync(file, `${JSON.stringify(whole, null, 1)}\n`, { flush: true })
  const of = receipts.flatMap(({ receipt }) => receiptIn(receipt)?.files ?? [])
  out.tell(`${file} has ${many(of.length, 'receipt')} for ${many(ids.length, 'file')}`)
}

const receiptIn = (sealed: string): Receipt | undefined => openReceipt(sealed, () => true)

/** One line for each file and pillar; nothing of it counts when any part is not genuine. Throws a complaint then. */
export function verifyReceipts(out: Output, path: string, ca: string): ExitCode {
  const file = parseReceiptFile(readFileSync(path, 'utf8'))
  if (!file) throw new Complaint(`${path} is no file of receipts`, exitCodes.failed)
  const found = file.receipts.map((one, n) => checked(one, ca, n + 1, file.archive))
  for (const receipt of found)
    for (const one of receipt.files) {
      out.object({
        pillar: receipt.from,
        collection: receipt.collection,
        ...one,
        ...aboutOf(receipt),
      })
      out.line(lineOf(receipt, one))
    }
  if (found.length === 0) throw new Complaint(`${path} has no receipt in it`, exitCodes.failed)
  const signers = new Set(found.map(({ from }) => from))
  out.tell(`genuine: signed by ${[...signers].join(', ')} of the archive ${file.archive}`)
  return exitCodes.done
}

function checked(
  { certificate, receipt }: ReceiptFile['receipts'][number],
  ca: string,
  number: number,
  archive: string,
): Receipt {
  const refuse = (why: string): never => {
    throw new Complaint(
      `receipt ${number} is not genuine: ${why}`,
      exitCodes.failed,
      'nothing in this file is to be believed',
    )
  }
  const signer = vouchedFor(ca, certificate)
  if (!signer) return refuse('its certificate is not by this authority')
  const keys = nodeKeys()
  const found = openReceipt(receipt, (algorithm, bytes, signature) =>
    keys.verify(algorithm, signer.publicKey, bytes, signature),
  )
  if (!found) return refuse(`it was not signed by the key of ${signer.name}, or was altered since`)
  if (found.from !== signer.name)
    return refuse(`it is by ${found.from}, and signed by ${signer.name}`)
  if (found.archive !== archive) return refuse(`it is of the archive ${found.archive}`)
  if (found.at > timeText(signer.ends)) return refuse('its certificate had ended before')
  return found
}

const aboutOf = ({ vault, kind, site, at }: Receipt): object => ({
  ...{ signedAt: at },
  ...(vault ? { vault } : {}),
  ...(kind === undefined ? {} : { kind }),
  ...(site === undefined ? {} : { site }),
})

function lineOf(receipt: Receipt, file: Receipt['files'][number]): string {
  const { from, site, vault, kind, collection } = receipt
  const who = site === undefined ? from : `${from} (${site})`
  const what = vault
    ? 'keeps in fragments on its pillars'
    : kind === 'checksum'
      ? 'keeps the checksum (no copy) of'
      : 'keeps'
  const { entry } = file
  const chain =
    entry === undefined ? '' : `, entry ${entry.sequence} of its trail ${entry.hash.slice(0, 16)}`
  return `${who} ${what} ${collection}/${idText(file.id)}: ${formatBytes(file.size)}, sha256 ${file.checksum}, stored ${file.storedAt}, proven ${file.provenAt}${chain}`
}
