/** The rights that the archive document gives, as mosquitto reads them (mosquitto.conf(5), `acl_file`). */
import type { ArchiveDocument } from '../protocol/document.ts'
import { rightsOf } from '../protocol/topics.ts'

/** Who is not in the document may do nothing. The user is the common name of the certificate, which is the identity. */
export function mosquittoAcl(
  { archive, version, identities }: Pick<ArchiveDocument, 'archive' | 'version' | 'identities'>,
  prefix: string,
): string {
  const head = [
    `# Who may do what at the broker of the archive ${archive}, by version ${version} of its document.`,
    '# Written by `colonnade-tracker acl mosquitto`; write it anew when members come or go, and send mosquitto a SIGHUP.',
  ]
  const users = identities.flatMap(({ name, role }) => {
    const { publish, subscribe } = rightsOf(prefix, role, name)
    return [
      '',
      `user ${name}`,
      ...publish.map((topic) => `topic write ${topic}`),
      ...subscribe.map((topic) => `topic read ${topic}`),
    ]
  })
  return `${[...head, ...users].join('\n')}\n`
}
