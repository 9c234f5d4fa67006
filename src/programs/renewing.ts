/** Certificates that are renewed in time, without anybody doing anything. */
import { limits } from '../limits.ts'
import type { ArchiveDocument } from '../protocol/document.ts'
import { timeText } from '../protocol/scalars.ts'
import {
  askRenewal,
  isDue,
  keepCertificate,
  type RenewalParts,
  renewOwn,
} from '../setup/renewal.ts'
import type { Member, MemberConfig } from '../system/member.ts'
import { endOfCertificate } from '../trust/keys.ts'
import type { World } from '../world/world.ts'

type Config = Pick<MemberConfig, 'certificate'>

/** Whoever was not let in may have a certificate that is over, whatever his clock says. */
const refusedLookMs = 3_600_000

/** Asks for another certificate when it is time; `now` undefined: nobody could tell, so the tracker is asked. */
export async function renewCertificate(
  world: World,
  config: Config,
  member: Member,
  now: number | undefined,
): Promise<void> {
  const { name, signer, tls } = member
  if (now !== undefined && !isDue(tls.cert, now)) return
  try {
    const addresses = member.trackers()
    const certificate = await askRenewal({ world, name, signer, ca: tls.ca, addresses })
    if (certificate === tls.cert) return
    member.certify(certificate)
    world.log.info('renewal.done', { ends: timeText(endOfCertificate(certificate)) })
    keepCertificate(config.certificate, certificate)
  } catch (error) {
    const ends = timeText(endOfCertificate(tls.cert))
    world.log.warn('renewal.failed', { ends, why: error instanceof Error ? error.message : error })
  }
}

/** The same once a day, by the tracker's clock. */
export async function keepRenewed(
  world: World,
  config: Config,
  member: Member,
  stopping: AbortSignal,
): Promise<void> {
  while (!stopping.aborted) {
    const now = await member.refresh().catch(() => undefined)
    if (stopping.aborted) return
    await renewCertificate(world, config, member, now)
    const pauseMs = now === undefined ? refusedLookMs : limits.renewLookMs
    await world.clock.sleep(pauseMs, stopping)
  }
}

/** The tracker's own, once a day, where the keys are. */
export async function keepOwnRenewed(
  parts: Omit<RenewalParts, 'graceMs'>,
  { name, path }: { readonly name: string; readonly path: string },
  certify: (certificate: string) => void,
  stopping: AbortSignal,
): Promise<void> {
  const { clock, log } = parts.world
  while (!stopping.aborted) {
    try {
      const certificate = await renewOwn(parts, name, path)
      if (certificate !== undefined) certify(certificate)
    } catch (error) {
      log.warn('renewal.failed', { why: String(error) })
    }
    await clock.sleep(limits.renewLookMs, stopping)
  }
}

/** When a certificate ends so soon, somebody is to see to it. */
const soonMs = 365 * 24 * 3_600_000

/** Members whose certificate nobody has renewed, as sentences for the operator. */
export function endingSoon(
  { identities }: Pick<ArchiveDocument, 'identities'>,
  now: number,
): string[] {
  return identities.flatMap(({ name, certificate }) => {
    const ends = certificate === undefined ? Infinity : endOfCertificate(certificate)
    if (ends - now > soonMs) return []
    return [
      `the certificate of ${name} ends on ${timeText(ends).slice(0, 10)}: bring the owner key back to the tracker, and have ${name} connected for a day`,
    ]
  })
}
