/** [TOK-1] Whether the token of a request is good for that request, before anything is dialled because of it. */
import type { RequestMessage } from '../protocol/messages.ts'
import { checkToken } from '../transfer/token.ts'
import type { Desk } from './pillar.ts'

/**
 * One sentence, or undefined when it is good, or none is wanted. Its end is not judged: the exchange does that, by a clock that is
 * right, and whoever asked is told in time to send a new one.
 */
export function tokenFault(
  { directory, keys, name }: Pick<Desk, 'directory' | 'keys' | 'name'>,
  request: RequestMessage,
): string | undefined {
  if (!('transmission' in request) || request.transmission === undefined) return undefined
  const checked = checkToken(request.transmission.token, directory, keys, 0)
  if ('refused' in checked) return checked.refused
  const { iss, hld, dir, obj } = checked.claims
  if (iss !== request.from) return 'a token of another client'
  if (!hld.includes(name)) return 'a token of somebody else'
  const brings = request.type === 'PutFileRequest' || request.type === 'ReplaceFileRequest'
  if (dir !== (brings ? 'down' : 'up')) return `a token for ${brings ? 'delivering' : 'fetching'}`
  if (!brings) return obj.length > 0 ? undefined : 'a token for no object'
  const fits = request.files.every(({ size }, n) => {
    const said = obj[n]?.[1]
    return said === size || said === -1
  })
  return fits ? undefined : 'a token for objects of other sizes'
}
