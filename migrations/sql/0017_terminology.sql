-- +goose Up

-- Code systems that are too large to be kept in memory. A row of terminology_system is one version of one source that was read in; what
-- belongs to it does not change from when it is ready until it goes. It is read in in small transactions, in whose session the advisory
-- lock of its source and number is held: what is 'loading' while nobody holds that lock was broken off, and goes too.
CREATE TABLE terminology_system (
  system         int         PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  source         text        NOT NULL,  -- "CodeSystem/id" of a stored resource, a hash of one that is not, or a name that a loader gave
  number         int         NOT NULL,  -- of its version
  state          text        NOT NULL CHECK (state IN ('loading', 'ready', 'gone')),
  kept           boolean     NOT NULL,  -- it cannot be read in again by itself
  url            text        NOT NULL,
  version        text        NOT NULL,
  name           text        NOT NULL,
  title          text        NOT NULL,
  content        text        NOT NULL,
  case_sensitive boolean     NOT NULL,
  hierarchy      text        NOT NULL,
  language       text        NOT NULL,
  supplements    text        NOT NULL,
  properties     text[]      NOT NULL DEFAULT '{}', -- that its concepts have or may have
  concepts       int         NOT NULL DEFAULT 0,
  made           timestamptz NOT NULL DEFAULT clock_timestamp(),
  used           timestamptz NOT NULL DEFAULT clock_timestamp() -- give or take some minutes
);
COMMENT ON TABLE terminology_system IS 'Code systems that are kept in tables';
CREATE UNIQUE INDEX terminology_system_source ON terminology_system (source, number) WHERE state = 'ready';
CREATE INDEX terminology_system_url ON terminology_system (url, version) WHERE state = 'ready';

CREATE TABLE terminology_concept (
  system     int     NOT NULL,
  ordinal    int     NOT NULL,                  -- from 0, in the order of the code system
  code       text    COLLATE "C" NOT NULL,
  folded     text    COLLATE "C",               -- code in lower case if case does not matter
  display    text    NOT NULL,
  definition text    NOT NULL,
  inactive   boolean NOT NULL,
  abstract   boolean NOT NULL,
  detail     text    NOT NULL,                  -- JSON of designations and properties; empty when there are none
  PRIMARY KEY (system, code),
  UNIQUE (system, ordinal)
);
COMMENT ON TABLE terminology_concept IS 'Concepts of code systems in tables';
CREATE INDEX terminology_concept_folded ON terminology_concept (system, folded) WHERE folded IS NOT NULL;

-- All that are above a concept, for one probe that says what subsumes it. Those with nothing above them have no row.
CREATE TABLE terminology_above (
  system  int   NOT NULL,
  ordinal int   NOT NULL,
  parents text[] NOT NULL,                      -- codes of those directly above, in the order in which they were named
  above   int[] NOT NULL,                       -- ordinals of all, sorted
  PRIMARY KEY (system, ordinal)
);
COMMENT ON TABLE terminology_above IS 'Ancestors of concepts';

-- Which concepts have something in common: all that are below one, that have a word, that have a value of a property. A code system is
-- read in once and read often, so a set is one row with the differences of sorted ordinals, and to combine sets is work of the program.
CREATE TABLE terminology_set (
  system  int   NOT NULL,
  kind    text  COLLATE "C" NOT NULL,           -- "below", "children", "word", "inactive", "abstract"; "=name" for a property
  key     text  COLLATE "C" NOT NULL,           -- code of who is above, word, value of the property; of a long one its start and its hash
  value   text  NOT NULL,                       -- of a property, when it is not key
  size    int   NOT NULL CHECK (size > 0),
  members bytea NOT NULL,                       -- ordinals as varints, each less the one before
  PRIMARY KEY (system, kind, key)
);
COMMENT ON TABLE terminology_set IS 'Sets of concepts by what they have in common';
