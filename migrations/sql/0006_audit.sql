-- +goose Up

-- Who did what, append-only. A deployment grants the server's role INSERT and SELECT only.
CREATE TABLE audit (
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  seq         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
  request_id  text        NOT NULL,
  interaction text        NOT NULL, -- read, search, create, ...; login, token, export
  outcome     smallint    NOT NULL, -- AuditEvent.outcome: 0, 4, 8, 12
  client      text,
  agent       text,                 -- person or system, as a reference
  origin      text,                 -- network address
  type        smallint,             -- entity: res_type.type, rid and version
  rid         bigint,
  ver         int,
  patients    bigint[]    NOT NULL DEFAULT '{}', -- rids of the patients concerned
  detail      jsonb,
  PRIMARY KEY (at, seq)
);
COMMENT ON TABLE audit IS 'Who did what; append-only, read as AuditEvent';
