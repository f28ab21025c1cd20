-- +goose Up

-- One order for everything the feed delivers. A number is taken before its commit: it sorts within a window of snapshots and
-- is never a cursor by itself.
CREATE SEQUENCE change_seq AS bigint CACHE 1;

-- Every version of every resource, append-only: bodies, history and feed.
CREATE TABLE ver (
  xid     xid8        NOT NULL DEFAULT pg_current_xact_id(), -- first column: evaluated before updated
  updated timestamptz NOT NULL DEFAULT clock_timestamp(),    -- meta.lastUpdated of this version
  seq     bigint      NOT NULL DEFAULT nextval('change_seq'),
  rid     bigint      NOT NULL,
  ver     int         NOT NULL CHECK (ver > 0),
  type    smallint    NOT NULL,
  id      text COLLATE "C" NOT NULL,                         -- logical id, so that history needs no join
  op      "char"      NOT NULL CHECK (op IN ('C', 'U', 'P', 'D')), -- create, update, patch, delete
  codec   smallint    NOT NULL,                              -- 0 JSON, 1 zstd, 256+n zstd with zdict n
  hash    bigint      NOT NULL DEFAULT 0,                    -- hash of the body, 0 for a delete
  acl     bigint[]    NOT NULL DEFAULT '{}',                 -- access keys of this version; of the last one for a delete
  origin  text,                                              -- client that wrote it, NULL for none
  body    bytea,                                             -- without versionId and lastUpdated, NULL for a delete
  PRIMARY KEY (rid, ver),
  CHECK ((op = 'D') = (body IS NULL))
);
COMMENT ON TABLE ver IS 'Every version of every resource: bodies, history and feed';
ALTER TABLE ver ALTER body SET STORAGE EXTERNAL; -- compressed already
ALTER TABLE ver SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
CREATE INDEX ver_feed         ON ver (xid, seq);
CREATE INDEX ver_seq          ON ver (seq);
CREATE INDEX ver_type_history ON ver (type, updated, seq);
CREATE INDEX ver_history      ON ver (updated, seq);

-- Who may see a resource changed without a new version of it. Merged into the feed by xid and seq.
CREATE TABLE access_event (
  xid     xid8     NOT NULL DEFAULT pg_current_xact_id(),
  seq     bigint   NOT NULL DEFAULT nextval('change_seq'),
  rid     bigint   NOT NULL,
  ver     int      NOT NULL, -- version that was current
  old_acl bigint[] NOT NULL,
  new_acl bigint[] NOT NULL,
  reason  text     NOT NULL,
  PRIMARY KEY (rid, seq)
);
COMMENT ON TABLE access_event IS 'Changes of who may see a resource that made no version of it';
CREATE INDEX access_event_feed ON access_event (xid, seq);
CREATE INDEX access_event_seq  ON access_event (seq);
