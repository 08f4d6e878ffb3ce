-- The index of the ledger. Everything here is derived from the log and can be
-- made anew from it. {id}, {bytes}: see dialect.go. Times are microseconds since
-- 1970, days are days since 1970, both UTC.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- How far each node's log has been read, and the frame hash of the last record.
CREATE TABLE origin (
  id {id}, name TEXT NOT NULL UNIQUE, sequence BIGINT NOT NULL, epoch BIGINT NOT NULL, hash {bytes} NOT NULL
);

-- Who, why, under what.
CREATE TABLE context (
  id {id}, digest {bytes} NOT NULL UNIQUE, kind TEXT NOT NULL, application TEXT NOT NULL, department TEXT NOT NULL,
  roles TEXT NOT NULL, purpose TEXT NOT NULL, status TEXT NOT NULL, code TEXT NOT NULL, level INTEGER NOT NULL,
  schema_revision TEXT NOT NULL, policy_revision TEXT NOT NULL
);

-- Which fields for which use.
CREATE TABLE shape (id {id}, digest {bytes} NOT NULL UNIQUE, operation TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE shape_use (
  shape BIGINT NOT NULL, ordinal INTEGER NOT NULL, department TEXT NOT NULL, source_table TEXT NOT NULL,
  source_column TEXT NOT NULL, type TEXT NOT NULL, field TEXT NOT NULL, level INTEGER NOT NULL, kind INTEGER NOT NULL,
  PRIMARY KEY (shape, ordinal)
);
CREATE INDEX shape_use_coordinate ON shape_use (type, field, shape);
CREATE INDEX shape_use_department ON shape_use (department, shape);

-- A context and a shape that occurred together. There are thousands of pairs
-- and hundreds of millions of records, so a filter chooses pairs first.
CREATE TABLE pair (
  id {id}, context BIGINT NOT NULL, shape BIGINT NOT NULL, last BIGINT NOT NULL, UNIQUE (context, shape)
);

CREATE TABLE record (
  origin BIGINT NOT NULL, sequence BIGINT NOT NULL, epoch BIGINT NOT NULL, time BIGINT NOT NULL, pair BIGINT NOT NULL,
  subject TEXT NOT NULL, request TEXT NOT NULL, rows_read BIGINT NOT NULL, people BIGINT NOT NULL,
  outcomes INTEGER NOT NULL, counts {bytes} NOT NULL,
  PRIMARY KEY (origin, sequence)
) {clustered};
CREATE INDEX record_time ON record (time, origin, sequence);
CREATE INDEX record_pair ON record (pair, time, origin, sequence);
CREATE INDEX record_subject ON record (subject, time, origin, sequence);

-- Whom a record is about, by keyed tag.
CREATE TABLE person (
  tag BIGINT NOT NULL, time BIGINT NOT NULL, origin BIGINT NOT NULL, sequence BIGINT NOT NULL,
  PRIMARY KEY (tag, time, origin, sequence)
) {clustered};

-- Where a field went: its consumer, for what, as what.
CREATE TABLE flow (
  id {id}, digest {bytes} NOT NULL UNIQUE, department TEXT NOT NULL, type TEXT NOT NULL, field TEXT NOT NULL,
  kind INTEGER NOT NULL, level INTEGER NOT NULL, outcome INTEGER NOT NULL,
  consumer TEXT NOT NULL, application TEXT NOT NULL, purpose TEXT NOT NULL
);
CREATE INDEX flow_department ON flow (department, type, field);

-- A flow's figures, per day and node; people is a sketch of the distinct tags.
CREATE TABLE rollup (
  flow BIGINT NOT NULL, day BIGINT NOT NULL, origin BIGINT NOT NULL, reads BIGINT NOT NULL, cells BIGINT NOT NULL,
  uncounted BIGINT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL, people {bytes} NOT NULL,
  PRIMARY KEY (flow, day, origin)
) {clustered};
