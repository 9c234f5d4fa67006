// `revoke` ends by saying what is out of the owner's hands.

import t from 'tap'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { couldRead } from '../../src/setup/revoke.ts'

const policy = { copiesMin: 1, algorithm: 'sha256' as const }
const document: ArchiveDocument = {
  ...{ archive: 'a', version: 1, issuedAt: '', exchanges: [] },
  identities: [
    { name: 'attic', role: 'pillar', publicKey: '' },
    { name: 'witness', role: 'pillar', kind: 'checksum', publicKey: '' },
    { name: 'spare', role: 'pillar', publicKey: '' },
    ...['desk', 'laptop', 'watch', 'guest'].map((name) => ({
      ...{ name, role: 'client' as const, publicKey: '' },
    })),
  ],
  collections: [
    { ...policy, name: 'photos', pillars: ['attic', 'witness'] },
    { ...policy, name: 'films', pillars: ['attic'], fragments: { bytes: 65_536, copies: 1 } },
    { ...policy, name: 'letters', pillars: ['witness'], appendOnly: true },
  ],
  permissions: [
    { identity: 'desk', collection: '*', role: 'curator' },
    { identity: 'laptop', collection: 'photos', role: 'depositor' },
    { identity: 'watch', collection: '*', role: 'operator' },
  ],
}
const said = (name: string): string => couldRead(document, name).join('\n')

t.test('[REV-3] of a pillar it is what stands on its disk', async (t) => {
  t.match(
    said('attic'),
    /^its disk has every file of: photos\nand what was deleted or replaced there/,
  )
  t.match(said('attic'), /and fragments of: films, with the names of the files they belong to/)
  t.match(said('attic'), /can read this, for it is not encrypted/)
  t.notMatch(said('attic'), /letters/)
  t.equal(
    said('witness'),
    'witness has names, sizes and checksums of: photos, letters; no contents',
  )
  t.match(said('spare'), /^its disk has every file of: none\nwhoever has that disk/)
})

t.test(
  '[REV-3] of a client it is what its role had opened, and what it could change',
  async (t) => {
    t.match(said('desk'), /^desk could fetch every file of: photos, films, letters$/m)
    t.match(said('desk'), /^it could replace and delete in: photos, films; `colonnade history`/m)
    t.match(said('laptop'), /^laptop could fetch every file of: photos$/m)
    t.notMatch(said('laptop'), /films|replace/)
    t.match(said('watch'), /^watch could fetch every file of: none$/m)
    t.match(said('watch'), /^and see names, sizes and checksums of: photos, films, letters$/m)
    t.match(said('guest'), /^guest could fetch every file of: none\nand hear on the broker/)
    const { permissions: _, ...before } = document
    const older = couldRead(before, 'guest')
    t.match(
      older[0],
      /every file of: photos, films, letters/,
      'older archives: everybody may everything',
    )
  },
)
