-- +goose Up
-- Revisions of schema, policy and settings that were in force, oldest first; the
-- last is the one in force.
CREATE TABLE revisions (
	sequence INTEGER PRIMARY KEY AUTOINCREMENT,
	hash     TEXT    NOT NULL CHECK (length(hash) = 64),
	parent   TEXT    NOT NULL, -- the hash before, or none
	how      TEXT    NOT NULL, -- why it came into force without or with an approval
	approval TEXT    NOT NULL, -- its text, or empty
	content  BLOB    NOT NULL,
	at       INTEGER NOT NULL  -- microseconds since 1970
) STRICT;

-- Proposals and approvals that came over the control graph.
CREATE TABLE approvals (
	revision TEXT    NOT NULL CHECK (length(revision) = 64),
	parent   TEXT    NOT NULL,
	text     TEXT    NOT NULL,
	at       INTEGER NOT NULL,
	PRIMARY KEY (revision, parent)
) STRICT, WITHOUT ROWID;
