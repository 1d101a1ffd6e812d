BEGIN TRANSACTION;
CREATE TABLE addresses (
  id     INTEGER PRIMARY KEY,
  domain INTEGER NOT NULL,
  local  TEXT NOT NULL, left_at INTEGER NOT NULL DEFAULT 0,
  UNIQUE (domain, local)
);
INSERT INTO "addresses" VALUES(1,1,'ann',0);
INSERT INTO "addresses" VALUES(2,1,'gone',0);
INSERT INTO "addresses" VALUES(3,1,'open',0);
CREATE TABLE batches (
  run     INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  PRIMARY KEY (run, pending, domain)
) WITHOUT ROWID;
CREATE TABLE domains (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  provider   TEXT NOT NULL DEFAULT '',
  mx         TEXT NOT NULL DEFAULT '',
  catch_all  TEXT NOT NULL DEFAULT '',
  checked_at INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "domains" VALUES(1,'x.lab','','','',0);
CREATE TABLE history (
  address INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  run     INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (address, at)
) WITHOUT ROWID;
INSERT INTO "history" VALUES(1,32472144000,1,'deliverable','accepted');
INSERT INTO "history" VALUES(2,32472144000,1,'invalid','mailbox_unknown');
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
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
, heard INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0, times INTEGER NOT NULL DEFAULT 1, counted INTEGER NOT NULL DEFAULT 0, last_try INTEGER NOT NULL DEFAULT 0, action TEXT NOT NULL DEFAULT '', tried_at INTEGER NOT NULL DEFAULT 0, tried_reason TEXT NOT NULL DEFAULT '', tried_detail TEXT NOT NULL DEFAULT '');
INSERT INTO "results" VALUES(1,'deliverable',98,'accepted','','role','','','',0,'','','',32472144000,0,0,0,'',0,32475285754,1,0,0,'',0,'','');
INSERT INTO "results" VALUES(2,'invalid',1,'mailbox_unknown','','role','','','',0,'','','',32472144000,0,0,0,'',0,32472612851,1,0,0,'',0,'','');
INSERT INTO "results" VALUES(3,'risky',94,'catch_all_unknown','','role','','','mx.x.lab',250,'2.1.5','OK','RCPT TO',32472144000,32472144000,0,0,'192.0.2.7',1,32474814505,1,0,0,'',0,'','');
CREATE TABLE rows (
  run        INTEGER NOT NULL,
  n          INTEGER NOT NULL, -- the row of the list, from 1
  col        INTEGER NOT NULL, -- which of the row's addresses, from 0
  address    INTEGER NOT NULL, -- 0: there is nothing to ask about
  suppressed INTEGER NOT NULL, ask INTEGER NOT NULL DEFAULT 0, -- the entry of the suppression list that forbids it; 0: none
  PRIMARY KEY (run, n, col)
) WITHOUT ROWID;
INSERT INTO "rows" VALUES(1,1,0,1,0,0);
INSERT INTO "rows" VALUES(1,2,0,2,0,0);
INSERT INTO "rows" VALUES(1,3,0,3,0,0);
CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  input    TEXT NOT NULL,    -- the list's path as given; empty: only retries
  started  INTEGER NOT NULL,
  finished INTEGER NOT NULL, -- 0: under way or broken off
  summary  TEXT NOT NULL DEFAULT '' -- JSON, once finished
, list TEXT NOT NULL DEFAULT '', columns TEXT NOT NULL DEFAULT '');
INSERT INTO "runs" VALUES(1,'list.csv',1795605921,1795605921,'{"plan":{"rows":0,"new":0,"due":0,"stale":0,"reused":0,"suppressed":0},"retried":0,"rows":0,"verdicts":null,"reasons":null,"expected_bounces":0}','list','');
CREATE TABLE spent (
  day         INTEGER NOT NULL, -- midnight UTC
  destination TEXT NOT NULL,
  source      TEXT NOT NULL,    -- our address; empty: the system's choice
  recipients  INTEGER NOT NULL,
  PRIMARY KEY (day, destination, source)
) WITHOUT ROWID;
INSERT INTO "spent" VALUES(946684800,'yahoo','',7);
CREATE TABLE suppression (
  id     INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE,
  reason TEXT NOT NULL,
  source TEXT NOT NULL,
  at     INTEGER NOT NULL
, origin TEXT NOT NULL DEFAULT 'person', enhanced TEXT NOT NULL DEFAULT '', due_at INTEGER NOT NULL DEFAULT 0);
INSERT INTO "suppression" VALUES(1,'@y.lab','unsubscribe','manual',1795605921,'person','',0);
CREATE TABLE work (
  run     INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL,    -- the local part in lower case
  address INTEGER NOT NULL,
  why     INTEGER NOT NULL, -- 0 new, 1 a retry, 2 older than its shelf life
  PRIMARY KEY (run, domain, folded, address)
) WITHOUT ROWID;
INSERT INTO "work" VALUES(1,1,'open',3,0);
CREATE INDEX results_by_retry ON results (retry_at) WHERE retry_at > 0;
CREATE INDEX history_by_time ON history (at);
CREATE INDEX addresses_by_leaving ON addresses (left_at) WHERE left_at > 0;
COMMIT;
PRAGMA user_version = 5;
