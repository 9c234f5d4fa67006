/** SQL that brings the view from version n to n + 1. A released line is never changed, only followed by another. */
export const viewUpgrades: readonly string[] = [
  `CREATE TABLE collections (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

  -- Who holds one fragment is the number of a set of holders: of a million fragments there are few.
  CREATE TABLE fragments (
    collection INTEGER NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    unwanted_since INTEGER,
    holders INTEGER NOT NULL,
    PRIMARY KEY (collection, hash)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX fragments_wanted ON fragments (holders, hash) WHERE wanted > 0;
  CREATE INDEX fragments_unwanted ON fragments (collection, hash) WHERE unwanted_since IS NOT NULL;

  CREATE TABLE sets (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    holders TEXT NOT NULL,
    fragments INTEGER NOT NULL,
    wanted INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE holdings (
    collection INTEGER NOT NULL,
    pillar TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (collection, pillar)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE files (
    place INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    size INTEGER NOT NULL,
    slices BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX files_bytes ON files (collection, checksum, size);

  CREATE TABLE entries (
    place INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX entries_id ON entries (collection, id);

  CREATE TABLE members (pillar TEXT PRIMARY KEY, about TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;`,

  // What one pillar holds is asked of its sets, also of what nobody wants.
  `DROP INDEX fragments_wanted;
  CREATE INDEX fragments_held ON fragments (holders, hash);`,
]
