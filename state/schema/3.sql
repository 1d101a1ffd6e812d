-- Version 3. Rows and work belong to a run, so that several lists can be under way, and a row may hold several addresses.
-- A result says itself when it is older than its shelf life.

ALTER TABLE results ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0; -- checked_at and the shelf life of its reason

ALTER TABLE rows RENAME TO rows_of_the_newest;
ALTER TABLE work RENAME TO work_of_the_newest;

-- The rows of a list, in order. address 0: the cell holds none that could be asked about.
CREATE TABLE rows (
  run        INTEGER NOT NULL,
  n          INTEGER NOT NULL, -- from 1
  col        INTEGER NOT NULL, -- which of the row's addresses, from 0
  address    INTEGER NOT NULL,
  suppressed INTEGER NOT NULL, -- the entry of the suppression list that forbids it; 0: none
  PRIMARY KEY (run, n, col)
) WITHOUT ROWID;

-- The addresses that a run has to verify, by domain; those that differ only in case come together, since many hosts take
-- them for one mailbox.
CREATE TABLE work (
  run     INTEGER NOT NULL,
  domain  INTEGER NOT NULL,
  folded  TEXT NOT NULL, -- the local part in lower case
  address INTEGER NOT NULL,
  why     INTEGER NOT NULL, -- 0 new, 1 ready to retry, 2 older than its shelf life
  PRIMARY KEY (run, domain, folded, address)
) WITHOUT ROWID;

-- The domains of a run's work, in the order in which they are handed out: those with the most addresses first. The order
-- is that of the moment when the work was laid out.
CREATE TABLE batches (
  run     INTEGER NOT NULL,
  place   INTEGER NOT NULL, -- from 1
  domain  INTEGER NOT NULL,
  pending INTEGER NOT NULL, -- how many of its addresses were to be verified
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

-- Rows were those of the newest run over a list, work was that of the newest run.
INSERT INTO rows (run, n, col, address, suppressed)
SELECT coalesce((SELECT max(id) FROM runs WHERE input <> ''), (SELECT max(id) FROM runs), 0), n, 0, address, suppressed
FROM rows_of_the_newest;

INSERT INTO work (run, domain, folded, address, why)
SELECT coalesce((SELECT max(id) FROM runs), 0), domain, folded, address, why FROM work_of_the_newest;

INSERT INTO batches (run, place, domain, pending)
SELECT run, row_number() OVER (ORDER BY count(*) DESC, domain), domain, count(*) FROM work GROUP BY run, domain;

DROP TABLE rows_of_the_newest;
DROP TABLE work_of_the_newest;
