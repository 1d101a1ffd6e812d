-- Version 1. Times are Unix seconds, 0 for none. Plain SQL, so that another engine can hold the same tables.

CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  input    TEXT NOT NULL,    -- the list's path as given; empty: only retries
  started  INTEGER NOT NULL,
  finished INTEGER NOT NULL, -- 0: under way or broken off
  summary  TEXT NOT NULL DEFAULT '' -- JSON, once finished
);

CREATE TABLE domains (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  provider   TEXT NOT NULL DEFAULT '',
  mx         TEXT NOT NULL DEFAULT '',
  catch_all  TEXT NOT NULL DEFAULT '',
  checked_at INTEGER NOT NULL DEFAULT 0
);

-- An address is a domain and a local part, whose case counts.
CREATE TABLE addresses (
  id     INTEGER PRIMARY KEY,
  domain INTEGER NOT NULL,
  local  TEXT NOT NULL,
  UNIQUE (domain, local)
);

CREATE TABLE results (
  address    INTEGER PRIMARY KEY,
  verdict    TEXT NOT NULL,
  score      INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  detail     TEXT NOT NULL,
  flags      TEXT NOT NULL, -- joined by spaces
  suggestion TEXT NOT NULL,
  provider   TEXT NOT NULL,
  mx         TEXT NOT NULL,
  code       INTEGER NOT NULL, -- 0: no reply
  enhanced   TEXT NOT NULL,
  text       TEXT NOT NULL,
  command    TEXT NOT NULL,
  checked_at INTEGER NOT NULL,
  retry_at   INTEGER NOT NULL,
  tries      INTEGER NOT NULL, -- temporary answers in a row
  since      INTEGER NOT NULL, -- the first of them
  source     TEXT NOT NULL     -- our address that asked; empty: the system's choice
);
CREATE INDEX results_by_retry ON results (retry_at) WHERE retry_at > 0;

-- Every change of a verdict or reason.
CREATE TABLE history (
  address INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  run     INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (address, at)
) WITHOUT ROWID;
CREATE INDEX history_by_time ON history (at);

-- Whom never to write to. A name is an address with its local part in lower case, @domain for a whole domain, or, where
-- only hashes are kept, sha256: and the hash of such a name with the salt in meta.
CREATE TABLE suppression (
  id     INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE,
  reason TEXT NOT NULL,
  source TEXT NOT NULL,
  at     INTEGER NOT NULL
);

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- The rows of the newest run, in order. address 0: the row holds none that could be asked about.
CREATE TABLE rows (
  n          INTEGER PRIMARY KEY, -- from 1
  address    INTEGER NOT NULL,
  suppressed INTEGER NOT NULL     -- the entry of the suppression list that forbids it; 0: none
);

-- The addresses that the newest run has to verify, by domain; those that differ only in case stand together, since many
-- hosts take them for one mailbox.
CREATE TABLE work (
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL, -- the local part in lower case
  address INTEGER NOT NULL,
  why     INTEGER NOT NULL, -- 0 new, 1 due for a retry, 2 stale
  PRIMARY KEY (domain, folded, address)
) WITHOUT ROWID;
