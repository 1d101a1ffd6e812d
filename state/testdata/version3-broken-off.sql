BEGIN TRANSACTION;
CREATE TABLE addresses (
  id     INTEGER PRIMARY KEY,
  domain INTEGER NOT NULL,
  local  TEXT NOT NULL,
  UNIQUE (domain, local)
);
INSERT INTO "addresses" VALUES(1,1,'ann');
INSERT INTO "addresses" VALUES(2,1,'full');
INSERT INTO "addresses" VALUES(3,1,'unknown');
INSERT INTO "addresses" VALUES(4,2,'blocked');
INSERT INTO "addresses" VALUES(5,3,'nowhere');
INSERT INTO "addresses" VALUES(6,1,'grey');
INSERT INTO "addresses" VALUES(7,1,'left');
INSERT INTO "addresses" VALUES(8,4,'heard');
INSERT INTO "addresses" VALUES(9,4,'Heard');
INSERT INTO "addresses" VALUES(10,1,'bea');
INSERT INTO "addresses" VALUES(11,1,'cy');
INSERT INTO "addresses" VALUES(12,5,'x');
CREATE TABLE batches (
  run     INTEGER NOT NULL,
  place   INTEGER NOT NULL, -- from 1
  domain  INTEGER NOT NULL,
  pending INTEGER NOT NULL, -- how many of its addresses were to be verified
  PRIMARY KEY (run, place)
) WITHOUT ROWID;
INSERT INTO "batches" VALUES(1,1,1,3);
INSERT INTO "batches" VALUES(1,2,2,1);
INSERT INTO "batches" VALUES(1,3,3,1);
INSERT INTO "batches" VALUES(2,1,1,3);
INSERT INTO "batches" VALUES(2,2,4,2);
INSERT INTO "batches" VALUES(2,3,2,1);
CREATE TABLE domains (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  provider   TEXT NOT NULL DEFAULT '',
  mx         TEXT NOT NULL DEFAULT '',
  catch_all  TEXT NOT NULL DEFAULT '',
  checked_at INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "domains" VALUES(1,'one.lab','','mx.one.lab','no',946684800);
INSERT INTO "domains" VALUES(2,'two.lab','','','',0);
INSERT INTO "domains" VALUES(3,'three.lab','','','',0);
INSERT INTO "domains" VALUES(4,'four.lab','','','',0);
INSERT INTO "domains" VALUES(5,'gone.lab','','','',0);
CREATE TABLE history (
  address INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  run     INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (address, at)
) WITHOUT ROWID;
INSERT INTO "history" VALUES(1,946684800,1,'deliverable','accepted');
INSERT INTO "history" VALUES(2,946684800,1,'risky','mailbox_full');
INSERT INTO "history" VALUES(3,946684800,1,'invalid','mailbox_unknown');
INSERT INTO "history" VALUES(4,946684800,1,'unknown','sender_blocked');
INSERT INTO "history" VALUES(5,946684800,1,'invalid','no_such_domain');
INSERT INTO "history" VALUES(6,949190400,2,'unknown','greylisted');
INSERT INTO "history" VALUES(10,949190400,2,'deliverable','accepted');
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
, heard INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0);
INSERT INTO "results" VALUES(1,'deliverable',98,'accepted','','role','','','',0,'','','',946684800,0,0,0,'',0,949276800);
INSERT INTO "results" VALUES(2,'risky',10,'mailbox_full','','role','','','',0,'','','',946684800,0,0,0,'',0,949276800);
INSERT INTO "results" VALUES(3,'invalid',1,'mailbox_unknown','','role','','','',0,'','','',946684800,0,0,0,'',0,1262044800);
INSERT INTO "results" VALUES(4,'unknown',70,'sender_blocked','','role','','','',0,'','','',946684800,0,0,0,'',0,946771200);
INSERT INTO "results" VALUES(5,'invalid',1,'no_such_domain','','role','','','',0,'','','',946684800,0,0,0,'',0,954460800);
INSERT INTO "results" VALUES(6,'unknown',85,'greylisted','greylisted','','','','',0,'','','',949190400,949191300,1,949190400,'192.0.2.7',0,951782400);
INSERT INTO "results" VALUES(9,'risky',90,'catch_all_unknown','accepted','role','b@c.lab','google','mx.one.lab',250,'2.1.5','fine','RCPT TO',949190400,949190400,0,0,'192.0.2.7',1,951782400);
INSERT INTO "results" VALUES(10,'deliverable',98,'accepted','','role','','','',0,'','','',949190400,0,0,0,'',0,951782400);
CREATE TABLE rows (
  run        INTEGER NOT NULL,
  n          INTEGER NOT NULL, -- from 1
  col        INTEGER NOT NULL, -- which of the row's addresses, from 0
  address    INTEGER NOT NULL,
  suppressed INTEGER NOT NULL, -- the entry of the suppression list that forbids it; 0: none
  PRIMARY KEY (run, n, col)
) WITHOUT ROWID;
INSERT INTO "rows" VALUES(1,1,0,1,0);
INSERT INTO "rows" VALUES(1,2,0,2,0);
INSERT INTO "rows" VALUES(1,3,0,3,0);
INSERT INTO "rows" VALUES(1,4,0,4,0);
INSERT INTO "rows" VALUES(1,5,0,5,0);
INSERT INTO "rows" VALUES(2,1,0,1,0);
INSERT INTO "rows" VALUES(2,2,0,0,0);
INSERT INTO "rows" VALUES(2,3,0,6,0);
INSERT INTO "rows" VALUES(2,4,0,7,1);
INSERT INTO "rows" VALUES(2,5,0,8,0);
INSERT INTO "rows" VALUES(2,6,0,9,0);
INSERT INTO "rows" VALUES(2,7,0,10,0);
INSERT INTO "rows" VALUES(2,8,0,1,0);
INSERT INTO "rows" VALUES(2,9,0,4,0);
INSERT INTO "rows" VALUES(2,10,0,11,0);
INSERT INTO "rows" VALUES(2,11,0,5,0);
INSERT INTO "rows" VALUES(2,12,0,12,2);
CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  input    TEXT NOT NULL,    -- the list's path as given; empty: only retries
  started  INTEGER NOT NULL,
  finished INTEGER NOT NULL, -- 0: under way or broken off
  summary  TEXT NOT NULL DEFAULT '' -- JSON, once finished
);
INSERT INTO "runs" VALUES(1,'clients.csv',946684800,946684800,'{"plan":{"rows":0,"new":0,"due":0,"stale":0,"reused":0,"suppressed":0},"retried":0,"rows":5,"verdicts":{"deliverable":1},"reasons":null,"expected_bounces":0}');
INSERT INTO "runs" VALUES(2,'list.csv',949190400,0,'');
CREATE TABLE suppression (
  id     INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE,
  reason TEXT NOT NULL,
  source TEXT NOT NULL,
  at     INTEGER NOT NULL
);
INSERT INTO "suppression" VALUES(1,'left@one.lab','unsubscribe','mailgun',946684800);
INSERT INTO "suppression" VALUES(2,'@gone.lab','manual','manual',946684800);
CREATE TABLE work (
  run     INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL, -- the local part in lower case
  address INTEGER NOT NULL,
  why     INTEGER NOT NULL, -- 0 new, 1 ready to retry, 2 older than its shelf life
  PRIMARY KEY (run, domain, folded, address)
) WITHOUT ROWID;
INSERT INTO "work" VALUES(2,1,'cy',11,0);
INSERT INTO "work" VALUES(2,2,'blocked',4,2);
INSERT INTO "work" VALUES(2,4,'heard',8,0);
INSERT INTO "work" VALUES(2,4,'heard',9,0);
CREATE INDEX results_by_retry ON results (retry_at) WHERE retry_at > 0;
CREATE INDEX history_by_time ON history (at);
COMMIT;
PRAGMA user_version = 3;
