-- Version 4. How many recipients were asked in a day, where the pace table has a budget for one.

CREATE TABLE spent (
  day         INTEGER NOT NULL, -- midnight UTC
  destination TEXT NOT NULL,
  source      TEXT NOT NULL,    -- our address; empty: the system's choice
  recipients  INTEGER NOT NULL,
  PRIMARY KEY (day, destination, source)
) WITHOUT ROWID;
