-- Version 5. The suppression list knows where its entries come from; a list is known by its name; an address knows when
-- it left its last list.

-- Of an entry: person, bounce or verdict; the enhanced code of a bounce; when one that is no wish of a person is asked
-- about again, 0: never.
ALTER TABLE suppression ADD COLUMN origin TEXT NOT NULL DEFAULT 'person';
ALTER TABLE suppression ADD COLUMN enhanced TEXT NOT NULL DEFAULT '';
ALTER TABLE suppression ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;

-- The name of the list, empty for none, and its address columns as JSON, empty: not known.
ALTER TABLE runs ADD COLUMN list TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN columns TEXT NOT NULL DEFAULT '';

-- When the address left its last list; 0: it is in one.
ALTER TABLE addresses ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX addresses_by_leaving ON addresses (left_at) WHERE left_at > 0;

-- Of a suppressed row whose entry is asked about again: the time of that; 0: it is not.
ALTER TABLE rows ADD COLUMN ask INTEGER NOT NULL DEFAULT 0;
