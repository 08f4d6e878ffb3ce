-- The orders in which records are walked, newest first. Each holds all that a
-- walk looks at, so that only the records of a page are fetched. An index that is
-- made anew gets them when its records are in: see build.go.
CREATE INDEX record_time ON record (time, origin, sequence, tally);
CREATE INDEX record_tally ON record (tally, time, origin, sequence);
CREATE INDEX record_reader ON record (reader, time, origin, sequence, tally);
