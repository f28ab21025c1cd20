-- +goose Up

-- What was answered to a write that carried an Idempotency-Key. Written in the write's own transaction.
CREATE TABLE idempotency (
  client    text        NOT NULL,
  key       text        NOT NULL,
  method    text        NOT NULL,
  path      text        NOT NULL,
  body_hash bytea       NOT NULL, -- another body under the same key is refused
  status    smallint,             -- HTTP status, NULL while in flight
  headers   jsonb,
  rid       bigint,               -- with ver: the answer's body
  ver       int,
  created   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client, key)
);
COMMENT ON TABLE idempotency IS 'Answers to writes that may be repeated';
CREATE INDEX idempotency_created ON idempotency (created);
