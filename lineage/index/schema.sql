-- The index of the ledger. Everything here is derived from the log and can be
-- made anew from it. {id}, {bytes}: see dialect.go. Times are microseconds since
-- 1970, days are days since 1970, both UTC.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- How far each node's log has been read, and the frame hash of the last record.
CREATE TABLE origin (
  id {id}, name TEXT NOT NULL UNIQUE, sequence BIGINT NOT NULL, epoch BIGINT NOT NULL, hash {bytes} NOT NULL
);

-- Who reads, by keyed pseudonym.
CREATE TABLE reader (id {id}, name TEXT NOT NULL UNIQUE);

-- Who, why, under what.
CREATE TABLE context (
  id {id}, digest {bytes} NOT NULL UNIQUE, kind TEXT NOT NULL, application TEXT NOT NULL, department TEXT NOT NULL,
  roles TEXT NOT NULL, purpose TEXT NOT NULL, status TEXT NOT NULL, code TEXT NOT NULL, level INTEGER NOT NULL,
  schema_revision TEXT NOT NULL, policy_revision TEXT NOT NULL, sealed BIGINT NOT NULL -- seconds
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

-- A context and a shape that occurred together.
CREATE TABLE pair (id {id}, context BIGINT NOT NULL, shape BIGINT NOT NULL, UNIQUE (context, shape));
CREATE INDEX pair_shape ON pair (shape);

-- Records alike: of one pair, each of whose fields fared the same way. There are
-- thousands of tallies and hundreds of millions of records, so a filter chooses
-- tallies first, and what records have in common is counted once for all of
-- them. outcomes has a byte for each use, a bit for each outcome; seen is all of
-- them. last is the time of the newest.
CREATE TABLE tally (
  id {id}, pair BIGINT NOT NULL, outcomes {bytes} NOT NULL, seen INTEGER NOT NULL, records BIGINT NOT NULL,
  last BIGINT NOT NULL, UNIQUE (pair, outcomes)
);

-- cohorts is, of a record of several departments, from which of them how many of
-- its persons came, see cohort.go.
CREATE TABLE record (
  origin BIGINT NOT NULL, sequence BIGINT NOT NULL, epoch BIGINT NOT NULL, time BIGINT NOT NULL, tally BIGINT NOT NULL,
  reader BIGINT NOT NULL, request {bytes} NOT NULL, rows_read BIGINT NOT NULL, people BIGINT NOT NULL,
  cohorts {bytes} NOT NULL, counts {bytes} NOT NULL,
  PRIMARY KEY (origin, sequence)
) {clustered};

-- Whom records are about, by keyed tag: postings (tag, time, sequence) of one
-- node's records, in runs. A run is in order, and its postings are in chunks, see
-- chunk.go: those of a tag are in the chunks that begin with it and in the last one
-- that begins before it. Every batch of records makes a run, and runs of like size
-- are merged, see merge.go. target is 0 for a run that stands, its own id while it is
-- filled, and the run that it goes into while it is merged. oldest and newest are
-- bounds of its times.
CREATE TABLE run (
  id {id}, origin BIGINT NOT NULL, target BIGINT NOT NULL, tier INTEGER NOT NULL, postings BIGINT NOT NULL,
  oldest BIGINT NOT NULL, newest BIGINT NOT NULL
);
CREATE INDEX run_origin ON run (origin);
CREATE TABLE chunk (
  run BIGINT NOT NULL, tag BIGINT NOT NULL, time BIGINT NOT NULL, sequence BIGINT NOT NULL, -- its first posting
  postings {bytes} NOT NULL, PRIMARY KEY (run, tag, time, sequence)
);

-- Where a field went: its consumer, for what, as what.
CREATE TABLE flow (
  id {id}, digest {bytes} NOT NULL UNIQUE, department TEXT NOT NULL, type TEXT NOT NULL, field TEXT NOT NULL,
  kind INTEGER NOT NULL, level INTEGER NOT NULL, outcome INTEGER NOT NULL,
  consumer TEXT NOT NULL, application TEXT NOT NULL, purpose TEXT NOT NULL
);
CREATE INDEX flow_department ON flow (department, type, field);

-- The flows that a tally's records are part of, in the order of their cells.
CREATE TABLE cell (
  tally BIGINT NOT NULL, ordinal INTEGER NOT NULL, flow BIGINT NOT NULL, PRIMARY KEY (tally, ordinal)
) {clustered};
CREATE INDEX cell_flow ON cell (flow, tally, ordinal);

-- A tally's figures, per day and node. cells are the values that went along each
-- flow, in the order of table cell; people is the distinct persons, see crowd.
CREATE TABLE rollup (
  tally BIGINT NOT NULL, day BIGINT NOT NULL, origin BIGINT NOT NULL, reads BIGINT NOT NULL, uncounted BIGINT NOT NULL,
  first BIGINT NOT NULL, last BIGINT NOT NULL, cells {bytes} NOT NULL, people {bytes} NOT NULL,
  PRIMARY KEY (tally, day, origin)
) {clustered};
