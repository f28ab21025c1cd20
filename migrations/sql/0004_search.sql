-- +goose Up

-- Multi-valued and grouped ranges: one row for each value.
CREATE TABLE rng (
  param smallint         NOT NULL, -- search_param.param
  grp   bigint           NOT NULL, -- 0, or the hash of the unit or of the composite's token
  lo    double precision NOT NULL, -- number, canonical quantity, or microseconds since 1970
  hi    double precision NOT NULL,
  rid   bigint           NOT NULL,
  CHECK (lo <= hi)
);
COMMENT ON TABLE rng IS 'Ranges with several values in one resource: quantities, dates, composites';
CREATE INDEX rng_value ON rng (param, grp, lo, hi, rid);
CREATE INDEX rng_rid   ON rng (rid);

CREATE TABLE search_param (
  param      smallint PRIMARY KEY,
  type       smallint NOT NULL,     -- res_type.type; 0 for all types
  code       text     NOT NULL,     -- the name in the query
  kind       text     NOT NULL,     -- SearchParameter.type
  slot       text,                  -- column of res that holds it, NULL for none
  expression text     NOT NULL,     -- FHIRPath
  gen        int      NOT NULL,     -- generation that added it; res.idx_gen below it lacks it
  state      text     NOT NULL CHECK (state IN ('building', 'active', 'retired')),
  UNIQUE (type, code)
);
COMMENT ON TABLE search_param IS 'Search parameters that the rows of res are built for';

CREATE TABLE zdict (
  dict smallint PRIMARY KEY,        -- ver.codec is 256 + dict
  data bytea    NOT NULL
);
COMMENT ON TABLE zdict IS 'zstd dictionaries';
ALTER TABLE zdict ALTER data SET STORAGE EXTERNAL;

CREATE TABLE reindex_job (
  job      bigint   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  type     smallint,                -- NULL for all types
  gen      int      NOT NULL,       -- generation that it brings the rows to
  last_rid bigint,                  -- rows up to here are done, NULL at the start
  done     bigint   NOT NULL DEFAULT 0, -- rows
  state    text     NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped'))
);
COMMENT ON TABLE reindex_job IS 'Rebuilding of search rows, and how far it has come';
