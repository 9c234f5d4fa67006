/** SQL that brings the index from version n to n + 1. A released line is never changed, only followed by another. */
export const indexUpgrades: readonly string[] = [
  // In the order of storing, so that a walk from the oldest reads the table from front to back.
  `CREATE TABLE files (
    sequence INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    size INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    mtime INTEGER NOT NULL,
    path TEXT NOT NULL,
    folded TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    proven_at INTEGER NOT NULL,
    digest TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX files_id ON files (collection, id);
  CREATE INDEX files_time ON files (collection, timestamp);
  CREATE INDEX files_checksum ON files (collection, checksum);
  CREATE INDEX files_folded ON files (collection, folded);

  CREATE TABLE receiving (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    size INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    mtime INTEGER NOT NULL,
    path TEXT NOT NULL,
    folded TEXT NOT NULL,
    safe INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX receiving_folded ON receiving (collection, folded);

  CREATE TABLE collections (
    collection TEXT PRIMARY KEY,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    digest TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE accepted (
    place INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    substance TEXT NOT NULL,
    request TEXT NOT NULL
  ) STRICT;

  CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    substance TEXT NOT NULL,
    answer TEXT NOT NULL,
    keep_until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX answers_keep_until ON answers (keep_until);

  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    conversation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;

  CREATE TABLE facts (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- The last index time and the last place in the order of changes: neither may be given out twice.
  CREATE TABLE counters (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    timestamp INTEGER NOT NULL,
    sequence INTEGER NOT NULL
  ) STRICT;
  INSERT INTO counters VALUES (1, 0, 0);`,
  // What was deleted, and the bytes of it that are kept for a while.
  `CREATE TABLE tombstones (
    sequence INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    size INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    mtime INTEGER NOT NULL,
    version INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    digest TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX tombstones_id ON tombstones (collection, id);
  CREATE INDEX tombstones_time ON tombstones (collection, timestamp);

  CREATE TABLE retained (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    mtime INTEGER NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (collection, id, version)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX retained_since ON retained (state, since);

  -- Files that were offered again and confirmed: newer than their row says.
  CREATE TABLE confirmed (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
  ) STRICT, WITHOUT ROWID;`,
  // By whose key something happened, and what was said about it; the history of a file without reading all others.
  `ALTER TABLE accepted ADD COLUMN signer TEXT;
  ALTER TABLE audit ADD COLUMN key TEXT;
  ALTER TABLE audit ADD COLUMN information TEXT;
  CREATE INDEX audit_file ON audit (collection, id);`,
  // Which file was proven the longest ago.
  `CREATE INDEX files_proven ON files (collection, proven_at);`,
]
