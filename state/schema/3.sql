-- Version 3. Rows and work belong to a run, so that several lists can be under way; a row may have several addresses; a
-- result keeps its last conclusive verdict, and apart from it the newest try.

ALTER TABLE rows RENAME TO rows_2;
CREATE TABLE rows (
  run        INTEGER NOT NULL,
  n          INTEGER NOT NULL, -- the row of the list, from 1
  col        INTEGER NOT NULL, -- which of the row's addresses, from 0
  address    INTEGER NOT NULL, -- 0: there is nothing to ask about
  suppressed INTEGER NOT NULL, -- the entry of the suppression list that forbids it; 0: none
  PRIMARY KEY (run, n, col)
) WITHOUT ROWID;
INSERT INTO rows SELECT (SELECT coalesce(max(id), 0) FROM runs WHERE input <> ''), n, 0, address, suppressed FROM rows_2;
DROP TABLE rows_2;

ALTER TABLE work RENAME TO work_2;
CREATE TABLE work (
  run     INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL,    -- the local part in lower case
  address INTEGER NOT NULL,
  why     INTEGER NOT NULL, -- 0 new, 1 a retry, 2 older than its shelf life
  PRIMARY KEY (run, domain, folded, address)
) WITHOUT ROWID;
INSERT INTO work SELECT (SELECT coalesce(max(id), 0) FROM runs), domain, folded, address, why FROM work_2;
DROP TABLE work_2;

-- The domains of a run's work and how many addresses each had when it was laid out, which orders them.
CREATE TABLE batches (
  run     INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  PRIMARY KEY (run, pending, domain)
) WITHOUT ROWID;

-- When a result is older than its shelf life; 0: not yet computed.
ALTER TABLE results ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
-- How often in a row the reason was found.
ALTER TABLE results ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
-- Of tries, those that count towards giving up, and when the last of them was.
ALTER TABLE results ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN last_try INTEGER NOT NULL DEFAULT 0;
UPDATE results SET counted = tries, last_try = CASE WHEN tries > 0 THEN checked_at ELSE 0 END;
-- What to do, where it is not what the reason says; empty: what the reason says.
ALTER TABLE results ADD COLUMN action TEXT NOT NULL DEFAULT '';
-- The newest try, where it gave no answer and the verdict before it stays; 0 and empty: the result is the newest try.
ALTER TABLE results ADD COLUMN tried_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN tried_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE results ADD COLUMN tried_detail TEXT NOT NULL DEFAULT '';
