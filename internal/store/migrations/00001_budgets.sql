-- +goose Up
CREATE TABLE budgets (
	day  INTEGER NOT NULL, -- 20261123
	kind TEXT    NOT NULL,
	key  BLOB    NOT NULL CHECK (length(key) = 16),
	used INTEGER NOT NULL CHECK (used > 0),
	PRIMARY KEY (day, kind, key)
) STRICT, WITHOUT ROWID;
