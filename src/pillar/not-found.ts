/** What is said of a file that is not found: it may be on a volume that is away, and then nobody may take it for gone. */
import type { Desk } from './pillar.ts'

export function notFound({
  store,
}: Pick<Desk, 'store'>):
  | { readonly code: 'FILE_NOT_FOUND_FAILURE' }
  | { readonly code: 'FAILURE'; readonly text: string } {
  const away = store.away?.()
  return away === undefined
    ? { code: 'FILE_NOT_FOUND_FAILURE' }
    : { code: 'FAILURE', text: `not found; ${away}` }
}
