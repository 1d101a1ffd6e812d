-- Version 1. Times are Unix seconds, 0 for none. Plain SQL, so that another engine can hold the same tables.

CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  input    TEXT NOT NULL,    -- the list's path as given
  started  INTEGER NOT NULL,
  finished INTEGER NOT NULL  -- 0: under way or broken off
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
  since      INTEGER NOT NULL  -- the first of them
);

-- The rows of the newest run, in order. address 0: the row holds none that could be asked about.
CREATE TABLE rows (
  n       INTEGER PRIMARY KEY, -- from 1
  address INTEGER NOT NULL
);

-- The addresses that the newest run has to verify, by domain; those that differ only in case stand together, since many
-- hosts take them for one mailbox.
CREATE TABLE work (
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL, -- the local part in lower case
  address INTEGER NOT NULL,
  PRIMARY KEY (domain, folded, address)
) WITHOUT ROWID;
