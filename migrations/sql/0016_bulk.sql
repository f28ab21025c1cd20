-- +goose Up

-- Work that goes on without a request: exports, imports, and requests that are answered later. A job belongs to who began it, and is
-- worked on by the server that has its lease. Leases are of the clock of the database, all other times of the program.
CREATE TABLE bulk_job (
  id       text        PRIMARY KEY,       -- 256 random bits: part of the address of its state and files
  kind     text        NOT NULL CHECK (kind IN ('export', 'import', 'request')),
  state    text        NOT NULL CHECK (state IN ('receiving', 'waiting', 'done', 'failed')), -- while it arrives, until it is done, after that
  owner    text        NOT NULL,          -- client, and the person whom it acts for: nobody else is told of it
  holder   text        NOT NULL CHECK (holder <> ''), -- by what the grant is made anew
  asked    jsonb       NOT NULL,          -- what is to be done; never changed
  place    jsonb       NOT NULL DEFAULT '{}', -- how far it is: what is behind is done for good
  error    bytea,                         -- OperationOutcome of one that failed
  created  timestamptz NOT NULL,
  ended    timestamptz,
  expires  timestamptz NOT NULL,          -- then it goes, with its files
  node     text        NOT NULL DEFAULT '', -- server that works on it
  lease    timestamptz NOT NULL DEFAULT '-infinity', -- until when
  turn     int         NOT NULL DEFAULT 0 -- how often it was taken up: who has an older one has lost it
);
COMMENT ON TABLE bulk_job IS 'Exports, imports and requests that are answered later';
CREATE INDEX bulk_job_waiting ON bulk_job (lease) WHERE state = 'waiting';
CREATE INDEX bulk_job_expires ON bulk_job (expires);

-- What a job gives to whoever may have it.
CREATE TABLE bulk_file (
  job   text   NOT NULL REFERENCES bulk_job ON DELETE CASCADE,
  name  text   NOT NULL,
  nth   int    NOT NULL,                  -- place in the manifest
  kind  text   NOT NULL CHECK (kind IN ('output', 'deleted', 'error', 'rejected', 'answer')),
  type  text   NOT NULL,                  -- resource type of its lines
  count bigint NOT NULL DEFAULT 0,        -- lines
  PRIMARY KEY (job, name)
);
COMMENT ON TABLE bulk_file IS 'Files of jobs';

-- Bytes of a job, in order: what it was sent, what it has found wrong; of a file of an export the list of versions that are in it,
-- whose bodies are read from ver when it is fetched.
CREATE TABLE bulk_piece (
  job     text  NOT NULL REFERENCES bulk_job ON DELETE CASCADE,
  name    text  NOT NULL,                 -- of a file; empty for what the job was sent
  start   bigint NOT NULL,                -- place of its first byte
  content bytea NOT NULL,
  PRIMARY KEY (job, name, start)
);
COMMENT ON TABLE bulk_piece IS 'What jobs were sent and what their files are made of';
ALTER TABLE bulk_piece ALTER content SET STORAGE EXTERNAL;
