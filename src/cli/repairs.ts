/** What the tracker repairs, and what it leaves for people to decide, as sentences. */
import type { Finding, Repair } from '../protocol/repairs.ts'
import { formatDuration } from '../world/units.ts'
import { idText, many } from './output.ts'

export const repairLine = ({ pillar, files, filesLeft, msLeft }: Repair): string =>
  [
    `repairing: ${files - filesLeft} of ${many(files, 'file')} to ${pillar}`,
    ...(msLeft === undefined ? [] : [`about ${formatDuration(msLeft)} left`]),
  ].join(', ')

export function findingLine({ is, files, ids }: Finding): string {
  const more = files > ids.length && ids.length > 0 ? `, and ${files - ids.length} more` : ''
  const named = ids.length > 0 ? `: ${ids.map(idText).join(', ')}${more}` : ''
  return `${many(files, 'file')} ${texts[is]}${named}`
}

const texts: Record<Finding['is'], string> = {
  differing:
    'with other bytes on one pillar than on another; `colonnade checksums` shows which, `replace` puts it right',
  halfDeleted: 'deleted on some pillars and still on others; `delete` the rest, or put it again',
  catchingUp:
    'only on a pillar that was away for long; taken from it once it was compared with the others',
}
