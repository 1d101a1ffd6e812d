-- Version 2. An accepted address whose domain was not yet known to be catch-all or not is remembered as heard.

ALTER TABLE results ADD COLUMN heard INTEGER NOT NULL DEFAULT 0; -- 1: accepted, and the catch-all question is still open
