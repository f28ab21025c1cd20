-- +goose Up

-- Subscriptions and what they are told. Times are those of the database.

-- Who asked for a Subscription: the stored resource carries the handle. Rows never change. One that was made for a write that came to
-- nothing is removed after a day.
CREATE TABLE subscription_owner (
  handle       text        PRIMARY KEY CHECK (handle <> ''),
  subscription text        NOT NULL, -- id of the resource
  holder       text        NOT NULL, -- by what the access of its writer is made anew
  endpoint     text        NOT NULL, -- that the secret and the headers are for, and nobody else
  secret       text        NOT NULL, -- that notifications are signed with; empty for none
  headers      text        NOT NULL, -- of notifications, one a line
  made         timestamptz NOT NULL
);
COMMENT ON TABLE subscription_owner IS 'Who has asked for a Subscription, and what only its endpoint is told';

-- How far all subscriptions together have come with the feed, and which server is at it.
CREATE TABLE subscription_feed (
  one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
  position text        NOT NULL, -- empty: not begun
  node     text        NOT NULL,
  fence    bigint      NOT NULL, -- counts the servers that took over
  lease    timestamptz NOT NULL  -- until when nobody else may
);
COMMENT ON TABLE subscription_feed IS 'The one follower of the feed that fires subscriptions';
INSERT INTO subscription_feed VALUES (true, '', '', 0, '-infinity');

CREATE TABLE subscription (
  id        text        PRIMARY KEY, -- of the resource
  version   int         NOT NULL,    -- of the resource that this row is from
  status    text        NOT NULL CHECK (status IN ('requested', 'active', 'error', 'off')),
  changed   timestamptz NOT NULL,    -- when it got that status
  handle    text        NOT NULL,    -- of subscription_owner
  criteria  text        NOT NULL,
  filters   text[]      NOT NULL,    -- of a topic
  pushes    boolean     NOT NULL,    -- to an endpoint; else it is listened to
  host      text        NOT NULL,    -- of the endpoint
  most      int         NOT NULL CHECK (most > 0), -- events in one notification
  ends      timestamptz NOT NULL,
  last      bigint      NOT NULL DEFAULT 0, -- number of the newest event
  delivered bigint      NOT NULL DEFAULT 0, -- all up to this one arrived or are no longer wanted
  pending   bigint      NOT NULL DEFAULT 0, -- what is being delivered goes up to this one, whoever tries it again
  sent      timestamptz,                    -- when something arrived last
  attempts  int         NOT NULL DEFAULT 0, -- in vain, since something arrived
  failing   timestamptz,                    -- since when
  error     text        NOT NULL DEFAULT '',
  due       timestamptz NOT NULL,           -- when there is something to do
  node      text        NOT NULL DEFAULT '',
  fence     bigint      NOT NULL DEFAULT 0, -- counts the turns of delivering
  lease     timestamptz NOT NULL DEFAULT '-infinity', -- until when nobody else may deliver
  CHECK (delivered <= last AND pending <= last)
) WITH (fillfactor = 50);
COMMENT ON TABLE subscription IS 'Subscriptions and how far each has come';
CREATE INDEX subscription_due ON subscription (due) WHERE due < 'infinity';

CREATE TABLE subscription_event (
  subscription text        NOT NULL,
  number       bigint      NOT NULL, -- from 1, without holes
  type         text        NOT NULL, -- of the version that it is about
  id           text        NOT NULL,
  version      int         NOT NULL,
  at           timestamptz NOT NULL, -- of that version
  numbered     timestamptz NOT NULL,
  PRIMARY KEY (subscription, number)
);
COMMENT ON TABLE subscription_event IS 'What each subscription was or will be told';
CREATE INDEX subscription_event_numbered ON subscription_event USING brin (numbered);

-- A word by which a websocket shows what it may listen to. It is good once, and kept as its SHA-256.
CREATE TABLE subscription_binding (
  hash          bytea       PRIMARY KEY,
  subscriptions text[]      NOT NULL,
  holder        text        NOT NULL, -- of who asked for it
  expires       timestamptz NOT NULL
);
