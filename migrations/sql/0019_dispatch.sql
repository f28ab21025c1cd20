-- +goose Up

-- Messages that go out by SMS, e-mail, push and apps. Leases are of the clock of the database, all other times of the program.

-- How far the follower has come with the feed, and which server is at it.
CREATE TABLE dispatch_feed (
  one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
  position text        NOT NULL, -- empty: not begun
  salt     bytea       NOT NULL, -- by which addresses are hashed for the audit; empty: not begun
  node     text        NOT NULL,
  fence    bigint      NOT NULL, -- counts the servers that took over
  lease    timestamptz NOT NULL  -- until when nobody else may
);
COMMENT ON TABLE dispatch_feed IS 'The one follower of the feed that finds messages to be sent';
INSERT INTO dispatch_feed VALUES (true, '', '', '', 0, '-infinity');

-- A message that is dispatched. One that is done with stays, since channels may still say something of it.
CREATE TABLE dispatch_message (
  id      text        PRIMARY KEY,       -- of the Communication
  request text        NOT NULL,          -- id of its CommunicationRequest
  made    timestamptz NOT NULL,
  due     timestamptz NOT NULL,          -- when there is something to do
  words   int         NOT NULL DEFAULT 0, -- counts what channels have said, and whatever else changes what is to be done
  faults  int         NOT NULL DEFAULT 0, -- of this server, one after the other
  node    text        NOT NULL DEFAULT '',
  fence   bigint      NOT NULL DEFAULT 0, -- counts the turns: who has an older one has lost it
  lease   timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 70);
COMMENT ON TABLE dispatch_message IS 'Messages that are sent by other channels than the inbox here';
CREATE INDEX dispatch_message_due ON dispatch_message (due) WHERE due < 'infinity';
CREATE INDEX dispatch_message_request ON dispatch_message (request);

-- A channel that a message is given to.
CREATE TABLE dispatch_job (
  message text        NOT NULL REFERENCES dispatch_message ON DELETE CASCADE,
  place   int         NOT NULL,          -- in the order in which the channels are tried, from 0
  channel text        NOT NULL,
  key     text        NOT NULL UNIQUE,   -- given to the provider, the same each time
  begun   timestamptz NOT NULL,
  tries   int         NOT NULL DEFAULT 0,
  next    timestamptz NOT NULL,          -- when it may be tried again
  sent    timestamptz,                   -- when the provider took it
  failed  boolean     NOT NULL DEFAULT false, -- the provider will not take it
  receipt text        NOT NULL DEFAULT '', -- what the provider calls it
  PRIMARY KEY (message, place),
  UNIQUE (message, channel)
);
COMMENT ON TABLE dispatch_job IS 'Attempts to send messages, one for each channel';

-- Everything that channels have said, in the order in which it came. Rows never change.
CREATE TABLE dispatch_event (
  channel  text        NOT NULL,
  key      text        NOT NULL, -- given by the provider: what comes twice is stored once
  message  text        NOT NULL REFERENCES dispatch_message ON DELETE CASCADE,
  event    text        NOT NULL,
  at       timestamptz NOT NULL, -- by the clock of the provider
  received timestamptz NOT NULL,
  PRIMARY KEY (channel, key)
);
COMMENT ON TABLE dispatch_event IS 'What channels have said of messages';
CREATE INDEX dispatch_event_message ON dispatch_event (message);
