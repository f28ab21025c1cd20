-- +goose Up

-- What is to sound at a time if it is still so then. Times are those of the database.

-- How far the feed was followed to plan timers, and which server is at it.
CREATE TABLE timer_feed (
  one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
  position text        NOT NULL, -- empty: not begun
  node     text        NOT NULL,
  fence    bigint      NOT NULL, -- counts the servers that took over
  lease    timestamptz NOT NULL  -- until when nobody else may
);
COMMENT ON TABLE timer_feed IS 'The one follower of the feed that plans timers';
INSERT INTO timer_feed VALUES (true, '', '', 0, '-infinity');

-- The timers that a resource has. One that has sounded stays until its resource has it no more, so that it does not sound again.
CREATE TABLE timer (
  type     text        NOT NULL,
  id       text        NOT NULL, -- of the resource
  kind     text        NOT NULL, -- empty: the resource is to be planned again
  due      timestamptz NOT NULL, -- with the kind it names the timer of a resource
  every    bigint      NOT NULL, -- milliseconds after which it sounds again; 0 is once
  at       timestamptz NOT NULL, -- when it sounds the next time
  next     timestamptz NOT NULL, -- from when on somebody may take it: at, or the end of a lease or of a pause after a failure; infinity: it has sounded
  claim    bigint      NOT NULL DEFAULT 0, -- counts who took it, and plans that came between
  attempts int         NOT NULL DEFAULT 0, -- in vain
  PRIMARY KEY (type, id, kind, due)
) WITH (fillfactor = 80);
COMMENT ON TABLE timer IS 'Timers of resources';
CREATE INDEX timer_next ON timer (next) WHERE next < 'infinity' AND kind <> '';
CREATE INDEX timer_plan ON timer (next) WHERE kind = '';
