-- +goose Up

-- What a write has to know beforehand, and what must not have changed since when it takes place, each in one round trip.
-- https://www.postgresql.org/docs/15/plpgsql-implementation.html#PLPGSQL-PLAN-CACHING: each statement is planned once for a connection,
-- and not for every write.
CREATE TYPE write_known AS (
  part    smallint,     -- which question it answers: 0 current version, 1 access keys, 2 recent, 3 receipt
  n       bigint,       -- which of the questions of that part, from 1
  id      text,
  ver     int,
  updated timestamptz,
  op      "char",
  codec   smallint,
  body    bytea,
  keys    bigint[]
);

-- +goose StatementBegin
CREATE FUNCTION write_gather(rids bigint[], types bigint[], ids text[], bases bigint[], kinds bigint[], names text[],
  recent smallint, wanted bigint[], since timestamptz, most bigint, task bigint, provided bigint[], whose text, under text)
RETURNS SETOF write_known LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF rids <> '{}' THEN
    RETURN QUERY SELECT 0::smallint, k.n, '', v.ver, v.updated, v.op, v.codec, v.body, access_of(v.acl, k.rid)
      FROM unnest(rids, types, ids) WITH ORDINALITY AS k (rid, type, id, n)
      CROSS JOIN LATERAL (SELECT * FROM ver WHERE ver.rid = k.rid ORDER BY ver.ver DESC LIMIT 1) v
      WHERE v.type = k.type AND v.id = k.id;
  END IF;
  IF bases <> '{}' THEN
    RETURN QUERY SELECT 1::smallint, k.n, '', 0, 'epoch'::timestamptz, ''::"char", 0::smallint, NULL::bytea, access_of(
        CASE WHEN k.type = 0 THEN ARRAY[k.key]
        ELSE (SELECT CASE WHEN v.op <> 'D' AND v.type = k.type AND v.id = k.id THEN v.acl END FROM ver v WHERE v.rid = k.key ORDER BY v.ver DESC LIMIT 1) END,
        k.key)
      FROM unnest(bases, kinds, names) WITH ORDINALITY AS k (key, type, id, n);
  END IF;
  IF wanted <> '{}' AND (task IS NULL OR EXISTS (SELECT FROM res_task t WHERE t.rid = task AND t.type = 140 AND t.keys @> provided)) THEN
    CASE recent
    WHEN 23 THEN
      RETURN QUERY WITH f AS MATERIALIZED (SELECT r.rid, r.ver, r.id, r.updated FROM res_communication r WHERE r.keys @> wanted AND NOT r.deleted)
        SELECT 2::smallint, 0::bigint, c.id, v.ver, v.updated, v.op, v.codec, v.body, NULL::bigint[]
        FROM (SELECT * FROM f WHERE f.updated >= since ORDER BY f.updated DESC, f.rid DESC LIMIT most) c JOIN ver v ON v.rid = c.rid AND v.ver = c.ver;
    WHEN 113 THEN
      RETURN QUERY WITH f AS MATERIALIZED (SELECT r.rid, r.ver, r.id, r.updated FROM res_questionnaire_response r WHERE r.keys @> wanted AND NOT r.deleted)
        SELECT 2::smallint, 0::bigint, c.id, v.ver, v.updated, v.op, v.codec, v.body, NULL::bigint[]
        FROM (SELECT * FROM f WHERE f.updated >= since ORDER BY f.updated DESC, f.rid DESC LIMIT most) c JOIN ver v ON v.rid = c.rid AND v.ver = c.ver;
    END CASE;
  END IF;
  IF under <> '' AND EXISTS (SELECT FROM idempotency i WHERE i.holder = whose AND i.key = under) THEN
    RETURN NEXT ROW(3, 0, '', 0, 'epoch', '', 0, NULL, NULL)::write_known;
  END IF;
END $$;
-- +goose StatementEnd

-- Who writes in a conversation holds its lock. Each statement of a volatile function sees what others have committed before it began, so
-- what the second one finds is there until this transaction ends.
-- +goose StatementBegin
CREATE FUNCTION write_guarded(rows write_row[], generation int, holder text, key text, gate bigint, digest bytea, asked bytea, packing smallint, answer bytea,
  lock bigint, task bigint, version int, wanted bigint[], said bigint[], versions bigint[])
RETURNS SETOF write_plan LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  found bigint[];
  vers bigint[];
BEGIN
  PERFORM pg_advisory_xact_lock(lock);
  SELECT array_agg(r.rid ORDER BY r.rid), array_agg(r.ver::bigint ORDER BY r.rid) INTO found, vers FROM res_communication r WHERE r.keys @> wanted AND NOT r.deleted;
  IF coalesce(found, '{}') <> said OR coalesce(vers, '{}') <> versions
    OR version <> coalesce((SELECT v.ver FROM ver v WHERE v.rid = task ORDER BY v.ver DESC LIMIT 1), 0) THEN
    RETURN NEXT ROW(13, 0, NULL, false, 0, NULL, NULL, false)::write_plan;
    RETURN;
  END IF;
  RETURN QUERY SELECT * FROM write_batch(rows, generation, true, holder, key, gate, digest, asked, packing, answer);
END $$;
-- +goose StatementEnd
