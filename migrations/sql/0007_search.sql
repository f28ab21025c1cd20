-- +goose Up

-- Dates in slots are from t1 to before t1h. An open end is the year 4001 before or 20000 after Christ, since infinite times have no
-- difference. No row has used the columns so far.
ALTER TABLE res DROP COLUMN n1, DROP COLUMN sorts;
ALTER TABLE res ADD COLUMN sorts text COLLATE "C"; -- sort values of all parameters by search_param.position, \x1f between them

-- Which types have what in a slot is in the program. Values of up to 25 hours are found by where they begin; of the few wider ones
-- also the end is indexed.
-- +goose StatementBegin
DO $$
DECLARE slot record;
BEGIN
  FOR slot IN SELECT t.part, n FROM (VALUES
      ('appointment', 1), ('audit_event', 1), ('communication', 2), ('communication_request', 2), ('condition', 2),
      ('document_reference', 1), ('encounter', 1), ('medication_request', 1), ('observation', 1), ('patient', 2),
      ('provenance', 1), ('questionnaire_response', 1), ('service_request', 2), ('task', 3)
    ) AS t (part, slots), generate_series(1, t.slots) AS n LOOP
    EXECUTE format('CREATE INDEX IF NOT EXISTS res_%1$s_t%2$s ON res_%1$s (t%2$s, rid) WHERE t%2$s IS NOT NULL', slot.part, slot.n);
    EXECUTE format('CREATE INDEX res_%1$s_t%2$s_wide ON res_%1$s (t%2$sh, rid) WHERE t%2$sh - t%2$s > interval ''25 hours''', slot.part, slot.n);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Rows from before there was a search; the indexer looks for them.
CREATE INDEX res_unbuilt ON res (rid) WHERE idx_gen = 0 AND NOT deleted;

-- A range holds for the version that it was made for: a writer that had to wait for another one does not see that one's ranges, and
-- leaves them behind.
DROP INDEX rng_value;
ALTER TABLE rng DROP COLUMN param; -- hashed into grp
ALTER TABLE rng ADD COLUMN ver int NOT NULL; -- res.ver
CREATE INDEX rng_value ON rng (grp, lo, hi, rid, ver);

-- A Bloom signature of the words in the content, NULL when it may have any. Versions, not search rows, have it: few searches look at it.
ALTER TABLE ver ADD COLUMN words bytea;
ALTER TABLE ver ALTER words SET STORAGE PLAIN; -- half of its bits are set: nothing to compress

-- Every write compares the generation that it was made for with this one, so that no row lacks what a new parameter needs.
CREATE TABLE search_generation (
  id  boolean PRIMARY KEY DEFAULT true CHECK (id), -- there is one row
  gen int     NOT NULL
);
COMMENT ON TABLE search_generation IS 'Generation of the search parameters: one row';
INSERT INTO search_generation (gen) VALUES (1);

-- Search parameters that clients have added. Those of R4 are in the program.
DROP TABLE search_param;
CREATE TABLE search_param (
  type       smallint NOT NULL,     -- res_type.type
  code       text     NOT NULL,     -- the name in the query
  position   int      NOT NULL,     -- in res.sorts; no other parameter of the type ever gets it
  rid        bigint   NOT NULL,     -- the SearchParameter that defines it
  definition jsonb    NOT NULL,
  gen        int      NOT NULL,     -- generation that added or changed it; a row of res with idx_gen below it lacks it
  state      text     NOT NULL CHECK (state IN ('building', 'active', 'failed', 'retired')),
  PRIMARY KEY (type, code),
  UNIQUE (type, position)
);
COMMENT ON TABLE search_param IS 'Search parameters beside those of R4';
CREATE INDEX search_param_rid ON search_param (rid);

DROP TABLE reindex_job;
CREATE TABLE reindex_job (
  job      bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  types    smallint[],               -- NULL for all types
  gen      int         NOT NULL,     -- rows with idx_gen below it are built anew
  last_rid bigint,                   -- rows up to here are done, NULL at the start
  done     bigint      NOT NULL DEFAULT 0, -- rows
  failed   bigint      NOT NULL DEFAULT 0, -- rows that are left as they are since they cannot be built
  state    text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped')),
  started  timestamptz NOT NULL DEFAULT now(),
  ended    timestamptz
);
COMMENT ON TABLE reindex_job IS 'Rebuilding of search rows, and how far it has come';
CREATE INDEX reindex_job_running ON reindex_job (job) WHERE state = 'running';
