-- +goose Up

-- What became of a request that may be repeated, written in its own transaction. No program has written into the table so far.
DROP TABLE idempotency;
CREATE TABLE idempotency (
  holder   text COLLATE "C" NOT NULL, -- whose key it is: client and person
  key      text COLLATE "C" NOT NULL, -- the Idempotency-Key
  created  timestamptz      NOT NULL DEFAULT clock_timestamp(),
  digest   bytea            NOT NULL, -- of method, path and body: another one under the same key is refused
  asked    bytea            NOT NULL, -- what the answer is made by beside the results
  codec    smallint         NOT NULL, -- as in ver
  body     bytea,                     -- the whole answer where the results do not say it
  types    smallint[]       NOT NULL, -- the results of the writes: res_type.type of what each was about,
  ids      text[]           NOT NULL, --   logical id,
  vers     int[]            NOT NULL, --   version, 0 for none,
  outcomes smallint[]       NOT NULL, --   what became of it,
  times    bigint[]         NOT NULL, --   and meta.lastUpdated in microseconds since 1970, 0 for none
  PRIMARY KEY (holder, key)
);
COMMENT ON TABLE idempotency IS 'What became of requests that may be repeated';
ALTER TABLE idempotency ALTER body SET STORAGE EXTERNAL; -- compressed already
CREATE INDEX idempotency_created ON idempotency (created);

-- Every change of who sees a resource has an event with exactly the effective keys before and after it, also one that comes with a
-- version: then ver is that of the new version. A first version, or one after a deletion, has none; a deletion has one.
ALTER TABLE access_event ADD COLUMN at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE access_event ALTER at SET DEFAULT clock_timestamp(); -- behind xid: evaluated after it
ALTER TABLE access_event ADD COLUMN made boolean NOT NULL DEFAULT false; -- there is a version of the same transaction
COMMENT ON TABLE access_event IS 'Changes of who may see a resource';

ALTER TABLE ver ADD COLUMN past boolean; -- true: loaded as history, notifies nobody

-- +goose StatementBegin
-- Takes shared locks of targets that are found after others were locked. Locks of targets are waited for in the order of their steps
-- and keys only; a later one that is not free undoes the statement, so that nobody waits in a circle.
CREATE FUNCTION access_join(targets bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  target bigint;
BEGIN
  FOREACH target IN ARRAY targets LOOP
    IF NOT pg_try_advisory_xact_lock_shared(target) THEN
      RAISE EXCEPTION 'others are changing who sees the resource' USING ERRCODE = 'serialization_failure';
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION access_held(own bigint[], sources bigint[], rid bigint) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  effective bigint[] := own;
  next bigint[] := rid || sources;
  given bigint[];
  target bigint;
  waited boolean;
BEGIN
  FOREACH target IN ARRAY next LOOP
    waited := pg_advisory_xact_lock_shared(target) IS NULL;
  END LOOP;
  LOOP
    SELECT array_agg(q.key), array_agg(q.key) FILTER (WHERE q.leads > 0) INTO given, next
    FROM (SELECT DISTINCT g.key, g.leads FROM access_grant g WHERE g.target = ANY (next) AND NOT g.key = ANY (effective)) q;
    effective := effective || given;
    IF next IS NULL THEN
      RETURN effective;
    END IF;
    PERFORM access_join(next);
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says how the effective keys of a resource change, NULL if they do not.
CREATE FUNCTION access_turn(before bigint[], after bigint[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN after @> before THEN CASE WHEN NOT before @> after THEN 'granted' END WHEN before @> after THEN 'withdrawn' ELSE 'changed' END
$$;
-- +goose StatementEnd

DROP FUNCTION access_give;

-- +goose StatementBegin
-- Makes the gifts of some resources (givers) those named here, takes all locks that writing needs, and gives all rows that this is
-- about their new keys, except those in written: whoever calls this writes them. It returns what the keys of those were before whose
-- gifts change or that are in turned: they will have other own keys.
-- A gift has a basis, a target, a key and a mark: step, 8 * leads, and 64 if it may be given newly. A gift that there is stays while it
-- is named. A giver may be a Patient that has its own record (registers): where it ends a gift of the record, what others have given
-- of the record ends too, until somebody who has it gives it anew; givers come in the order of their writes.
-- held, of which steps are the steps, is what the written rows have their keys by. Whoever calls this holds the locks on the resources
-- that it writes. Locks of targets are taken in the order of their steps, then those of rows in the order of rids; where no gift changes
-- and none is in turned, rows need none.
CREATE FUNCTION access_settle(givers bigint[], registers boolean[], bases bigint[], targets bigint[], keys bigint[], marks bigint[],
  held bigint[], steps bigint[], written bigint[], turned bigint[]) RETURNS access_row[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  added access_grant[] := '{}';
  dropped access_grant[] := '{}';
  ended access_grant[];
  changed bigint[];
  next bigint[];
  known bigint[];
  met bigint[] := '{}';
  old access_row[];
  x record;
BEGIN
  IF targets <> '{}' THEN
    added := ARRAY(SELECT DISTINCT (n.basis, n.target, n.key, n.mark & 7, n.mark >> 3 & 7)::access_grant
      FROM unnest(bases, targets, keys, marks) AS n (basis, target, key, mark)
      WHERE n.mark & 64 <> 0 AND NOT EXISTS (SELECT FROM access_grant g WHERE g.basis = n.basis AND g.target = n.target AND g.key = n.key));
  END IF;
  IF givers <> '{}' THEN
    dropped := ARRAY(SELECT g FROM access_grant g WHERE g.basis = ANY (givers)
      AND NOT EXISTS (SELECT FROM unnest(bases, targets, keys) AS n (basis, target, key) WHERE n.basis = g.basis AND n.target = g.target AND n.key = g.key));
  END IF;
  changed := ARRAY(SELECT DISTINCT c.target FROM unnest(added || dropped) c);

  PERFORM CASE WHEN l.alone THEN pg_advisory_xact_lock(l.target) IS NULL ELSE pg_advisory_xact_lock_shared(l.target) IS NULL END
  FROM (SELECT l.target, bool_or(l.alone) AS alone FROM (
      SELECT c.target, c.step, true AS alone FROM unnest(added || dropped) c
      UNION ALL SELECT c.key, c.leads, false FROM unnest(added) c WHERE c.leads > 0
      UNION ALL SELECT h.target, h.step, false FROM unnest(held, steps) h (target, step)) l
    GROUP BY l.target ORDER BY min(l.step), l.target OFFSET 0) l;

  -- Nobody else changes gifts of what is locked alone now.
  ended := ARRAY(SELECT d FROM unnest(dropped) d WHERE d.step = 3 AND registers[array_position(givers, d.basis)]);
  IF ended <> '{}' THEN
    added := ARRAY(SELECT a FROM unnest(added) a WHERE NOT EXISTS (SELECT FROM unnest(ended) e
      WHERE e.target = a.target AND e.basis <> a.basis AND array_position(givers, e.basis) > array_position(givers, a.basis)));
    dropped := dropped || ARRAY(SELECT g FROM access_grant g WHERE g.target IN (SELECT e.target FROM unnest(ended) e)
      AND NOT EXISTS (SELECT FROM unnest(dropped) d WHERE d.basis = g.basis AND d.target = g.target AND d.key = g.key)
      AND EXISTS (SELECT FROM unnest(ended) e WHERE e.target = g.target AND e.basis <> g.basis
        AND NOT EXISTS (SELECT FROM unnest(bases, targets, keys, marks) AS n (basis, target, key, mark)
          WHERE n.basis = g.basis AND n.target = g.target AND n.key = g.key AND n.mark & 64 <> 0
            AND array_position(givers, n.basis) > array_position(givers, e.basis))));
  END IF;
  -- What the given keys and the own ones lead to must stay as it is, too.
  next := held || ARRAY(SELECT c.key FROM unnest(added) c WHERE c.leads > 0);
  known := next || changed;
  LOOP
    next := ARRAY(SELECT DISTINCT g.key FROM access_grant g WHERE g.target = ANY (next) AND g.leads > 0 AND NOT g.key = ANY (known));
    EXIT WHEN next = '{}';
    PERFORM access_join(next);
    known := known || next;
  END LOOP;
  IF changed = '{}' AND turned = '{}' THEN
    RETURN '{}';
  END IF;

  FOR x IN SELECT q.rid, q.type, bool_or(q.met) AS met FROM (
      SELECT r.rid, r.type, true AS met FROM res r WHERE changed <> '{}' AND r.keys && changed
      UNION ALL SELECT r.rid, r.type, r.rid = ANY (changed || turned) FROM res r WHERE r.rid = ANY (changed || written)) q
    GROUP BY q.rid, q.type ORDER BY q.rid LOOP
    PERFORM FROM res r WHERE r.rid = x.rid AND r.type = x.type FOR UPDATE;
    IF x.met THEN
      met := met || x.rid;
    END IF;
  END LOOP;
  old := ARRAY(SELECT (r.rid, r.type, r.ver, v.acl, coalesce(access_of(v.acl, r.rid), '{}'))::access_row
    FROM res r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver
    WHERE r.rid = ANY (met) AND NOT r.deleted);
  IF changed = '{}' THEN
    RETURN old;
  END IF;
  DELETE FROM access_grant g USING unnest(dropped) d WHERE g.target = d.target AND g.key = d.key AND g.basis = d.basis;
  INSERT INTO access_grant SELECT a.* FROM unnest(added) a;
  WITH now AS MATERIALIZED (SELECT m.rid, m.type, m.ver, m.effective AS before, access_of(m.own, m.rid) AS after FROM unnest(old) m
    WHERE NOT m.rid = ANY (written) AND m.own IS NOT NULL),
  n AS MATERIALIZED (SELECT now.*, access_turn(before, after) AS turn FROM now),
  e AS (
    INSERT INTO access_event (rid, ver, old_acl, new_acl, reason)
    SELECT rid, ver, before, after, turn FROM n WHERE turn IS NOT NULL)
  UPDATE res r SET keys = ARRAY(SELECT k FROM unnest(r.keys) k WHERE NOT k = ANY (n.before) OR k = ANY (n.after)
      UNION SELECT k FROM unnest(n.after) k)
  FROM n WHERE r.rid = n.rid AND r.type = n.type AND n.turn IS NOT NULL;
  RETURN old;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Besides what it has decided so far, tells of the change of who sees the resource.
CREATE OR REPLACE FUNCTION access_write(op text, rid bigint, type smallint, id text, hash bigint, version int,
  own bigint[], sources bigint[], authors bigint[], targets bigint[], given bigint[], marks bigint[],
  OUT goes boolean, OUT gone boolean, OUT acl bigint[], OUT keys bigint[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  waited boolean;
  old record;
  before bigint[];
  turned boolean;
BEGIN
  waited := pg_advisory_xact_lock(~rid) IS NULL;
  SELECT v.ver, v.op = 'D' AS deleted, v.type, v.id, v.hash, v.acl INTO old FROM ver v WHERE v.rid = access_write.rid ORDER BY v.ver DESC LIMIT 1;
  gone := old.deleted IS NOT false;
  goes := CASE
    WHEN old.ver IS NULL THEN op NOT IN ('D', 'I') AND version <= 0
    WHEN old.type <> type OR old.id <> id THEN false
    WHEN version > 0 AND version <> old.ver OR version < 0 AND NOT gone THEN false
    WHEN op = 'D' THEN NOT gone
    WHEN op = 'I' THEN NOT gone AND old.acl IS NULL
    ELSE gone OR old.hash <> hash END;
  IF NOT goes THEN
    RETURN;
  END IF;
  IF op = 'D' THEN
    acl := old.acl;
  ELSE
    IF authors <> '{}' OR old.acl IS NOT NULL THEN
      authors := ARRAY(SELECT k FROM unnest(authors) k UNION SELECT k FROM unnest(old.acl) k WHERE k & 7 = 5);
    END IF;
    acl := own || authors;
  END IF;
  turned := NOT gone AND op <> 'I' AND (op = 'D' OR old.acl IS NULL OR old.acl <> acl AND access_turn(old.acl, acl) IS NOT NULL);
  IF targets <> '{}' OR old.ver IS NOT NULL AND EXISTS (SELECT FROM access_grant g WHERE g.basis = rid) THEN
    SELECT o.effective INTO before
    FROM unnest(access_settle(ARRAY[rid], ARRAY[type = 103 AND op <> 'I'], array_fill(rid, ARRAY[cardinality(targets)]), targets, given, marks,
      rid || sources, CASE type WHEN 9 THEN 1 ELSE 2 END || ARRAY(SELECT s & 7 FROM unnest(sources) s),
      ARRAY[rid], CASE WHEN turned THEN ARRAY[rid] ELSE '{}' END)) o
    WHERE o.rid = access_write.rid;
    turned := turned OR before IS NOT NULL AND op <> 'I';
  END IF;
  IF op <> 'D' THEN
    keys := access_held(acl, sources, rid);
  END IF;
  IF NOT turned THEN
    RETURN;
  END IF;
  IF before IS NULL THEN
    -- With the row locked nobody changes what it is given.
    PERFORM FROM res r WHERE r.rid = access_write.rid AND r.type = access_write.type FOR UPDATE;
    before := coalesce(access_of(old.acl, rid), '{}');
  END IF;
  IF op = 'D' THEN
    INSERT INTO access_event (rid, ver, old_acl, new_acl, reason, made) VALUES (rid, old.ver + 1, before, '{}', 'deleted', true);
  ELSIF access_turn(before, keys) IS NOT NULL THEN
    INSERT INTO access_event (rid, ver, old_acl, new_acl, reason, made) VALUES (rid, old.ver + 1, before, keys, access_turn(before, keys), true);
  END IF;
END $$;
-- +goose StatementEnd

-- One write of several.
CREATE TYPE write_row AS (
  op text, type smallint, rid bigint, id text, hash bigint, expect int, codec smallint, past boolean, origin text, body bytea, words bytea,
  own bigint[], sources bigint[], authors bigint[], targets bigint[], given bigint[], marks bigint[], -- as access_write takes them
  keys bigint[], refs bigint[], t1 timestamptz, t1h timestamptz, t2 timestamptz, t2h timestamptz, t3 timestamptz, t3h timestamptz,
  s1 text, strs text, sorts text, grps bigint[], los double precision[], his double precision[],      -- as in res and rng
  interaction text, request text, outcome smallint, client text, agent text, orgs text, address text, patients text, patient bigint,
  others bigint[], detail text);                                                                      -- as in audit

-- What becomes of it: 1 created, 2 updated, 3 unchanged, 4 removed, 5 nothing to remove, 6 there is another version, 7 another resource
-- has the rid. Of all together: 10 they are of another generation of the search parameters, 11 a request with the same key is being
-- carried out, 12 has been.
CREATE TYPE write_plan AS (
  fate smallint, version int, moment timestamptz, gone boolean, -- version that is there then; whether there was no resource before
  former int, before bigint[], acl bigint[], turned boolean);   -- version that is there now, own keys now and then, and whether they differ

CREATE TYPE write_keys AS (added bigint[]);

-- +goose StatementBegin
-- Writes some rows, of which no two are about one resource, as access_write lets it: all of them, or those that can be unless it is to
-- be the whole. The answers come in the order of the rows; one that is about all comes alone. With a holder a receipt is kept; gate is
-- the lock on its key. A resource whose id was made up just now (C) is locked by nobody: nobody else can know it.
CREATE FUNCTION write_batch(rows write_row[], generation int, whole boolean,
  holder text, key text, gate bigint, digest bytea, asked bytea, packing smallint, answer bytea) RETURNS SETOF write_plan
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  plans write_plan[];
  fates smallint[];
  givers bigint[];
  registers boolean[];
  bases bigint[] := '{}';
  targets bigint[] := '{}';
  given bigint[] := '{}';
  marks bigint[] := '{}';
  held bigint[];
  steps bigint[];
  written bigint[];
  turning bigint[];
  old access_row[];
  spread write_keys[];
  now timestamptz;
  met int;
BEGIN
  IF holder IS NOT NULL THEN
    IF NOT pg_try_advisory_xact_lock(gate) THEN
      RETURN NEXT ROW(11, 0, NULL, false, 0, NULL, NULL, false)::write_plan;
      RETURN;
    ELSIF EXISTS (SELECT FROM idempotency i WHERE i.holder = write_batch.holder AND i.key = write_batch.key) THEN
      RETURN NEXT ROW(12, 0, NULL, false, 0, NULL, NULL, false)::write_plan;
      RETURN;
    END IF;
  END IF;
  IF NOT EXISTS (SELECT FROM search_generation g WHERE g.gen = generation) THEN
    RETURN NEXT ROW(10, 0, NULL, false, 0, NULL, NULL, false)::write_plan;
    RETURN;
  END IF;

  PERFORM pg_advisory_xact_lock(~q.rid) FROM (SELECT r.rid FROM unnest(rows) r WHERE r.op <> 'C' ORDER BY r.rid OFFSET 0) q;
  plans := ARRAY(
    SELECT (f.fate, coalesce(v.ver, 0) + CASE WHEN f.fate IN (1, 2, 4) THEN 1 ELSE 0 END, v.updated, v.deleted IS NOT false, coalesce(v.ver, 0),
      v.acl, a.acl, f.fate = 4 OR f.fate = 2 AND (v.acl IS NULL OR v.acl <> a.acl AND access_turn(v.acl, a.acl) IS NOT NULL))::write_plan
    FROM unnest(rows) WITH ORDINALITY r LEFT JOIN LATERAL (
        SELECT v.ver, v.updated, v.op = 'D' AS deleted, v.id = r.id AND v.type = r.type AS same, v.hash, v.acl
        FROM ver v WHERE v.rid = r.rid ORDER BY v.ver DESC LIMIT 1) v ON true
      CROSS JOIN LATERAL (SELECT CASE
        WHEN r.op = 'D' THEN CASE WHEN v.ver IS NULL OR NOT v.same OR v.deleted THEN 5 WHEN r.expect NOT IN (0, v.ver) THEN 6 ELSE 4 END
        WHEN v.ver IS NULL THEN CASE WHEN r.expect > 0 THEN 6 ELSE 1 END
        WHEN NOT v.same THEN 7
        WHEN r.expect > 0 AND r.expect <> v.ver OR r.expect < 0 AND NOT v.deleted THEN 6
        WHEN v.deleted THEN 1
        WHEN v.hash = r.hash THEN 3
        ELSE 2 END AS fate OFFSET 0) f
      CROSS JOIN LATERAL (SELECT CASE WHEN f.fate = 4 THEN v.acl WHEN r.authors = '{}' AND v.acl IS NULL THEN r.own
        ELSE r.own || ARRAY(SELECT k FROM unnest(r.authors) k UNION SELECT k FROM unnest(v.acl) k WHERE k & 7 = 5) END AS acl OFFSET 0) a
    ORDER BY r.ordinality);
  fates := ARRAY(SELECT p.fate FROM unnest(plans) p);
  IF whole AND fates && '{6,7}' THEN
    RETURN QUERY SELECT * FROM unnest(plans);
    RETURN;
  END IF;

  IF fates && '{1,2,4}' THEN
    SELECT coalesce(array_agg(r.rid ORDER BY r.ordinality) FILTER (WHERE r.former > 0 OR r.targets <> '{}'), '{}'),
      coalesce(array_agg(r.type = 103 ORDER BY r.ordinality) FILTER (WHERE r.former > 0 OR r.targets <> '{}'), '{}'),
      coalesce(array_agg(r.rid) FILTER (WHERE r.former > 0), '{}'), coalesce(array_agg(r.rid) FILTER (WHERE r.turned), '{}')
    INTO givers, registers, written, turning
    FROM unnest(rows, plans) WITH ORDINALITY r WHERE r.fate IN (1, 2, 4);
    IF givers <> '{}' THEN
      SELECT coalesce(array_agg(q.basis), '{}'), coalesce(array_agg(q.target), '{}'), coalesce(array_agg(q.key), '{}'), coalesce(array_agg(q.mark), '{}')
      INTO bases, targets, given, marks
      FROM (SELECT r.rid AS basis, unnest(r.targets) AS target, unnest(r.given) AS key, unnest(r.marks) AS mark FROM unnest(rows, plans) r WHERE r.fate IN (1, 2)) q;
    END IF;
    SELECT coalesce(array_agg(h.target), '{}'), coalesce(array_agg(h.step), '{}') INTO held, steps FROM (
      SELECT r.rid AS target, CASE r.type WHEN 9 THEN 1 ELSE 2 END AS step FROM unnest(rows, plans) r WHERE r.fate IN (1, 2, 4) AND (r.op <> 'C' OR r.former > 0)
      UNION SELECT s.key, s.key & 7 FROM (SELECT unnest(r.sources) AS key FROM unnest(rows, plans) r WHERE r.fate IN (1, 2)) s) h;
    old := access_settle(givers, registers, bases, targets, given, marks, held, steps, written, turning);
    spread := write_spread(rows, plans, held || ARRAY(SELECT r.rid FROM unnest(rows) r WHERE r.op = 'C'));

    PERFORM pg_current_xact_id();
    now := date_trunc('milliseconds', clock_timestamp());
    plans := ARRAY(SELECT (p.fate, p.version, CASE WHEN p.fate IN (1, 2, 4) THEN greatest(now, p.moment + interval '1 millisecond') ELSE p.moment END,
        p.gone, p.former, p.before, p.acl, p.turned)::write_plan
      FROM unnest(plans) WITH ORDINALITY p ORDER BY p.ordinality);
    IF old <> '{}' THEN
      INSERT INTO access_event (rid, ver, old_acl, new_acl, reason, made)
      SELECT e.rid, e.version, e.effective, e.after, CASE WHEN e.fate = 4 THEN 'deleted' ELSE access_turn(e.effective, e.after) END, true
      FROM (SELECT o.rid, r.version, r.fate, o.effective, CASE WHEN r.fate = 4 THEN '{}' ELSE r.acl || r.added END AS after
        FROM unnest(rows, plans, spread) r JOIN unnest(old) o ON o.rid = r.rid WHERE r.fate IN (2, 4)) e
      WHERE e.fate = 4 OR access_turn(e.effective, e.after) IS NOT NULL;
    END IF;
    INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin, body, words, past)
    SELECT r.moment, r.rid, r.version, r.type, r.id, r.op::"char", r.codec, r.hash, r.acl, nullif(r.origin, ''), r.body, r.words, r.past
    FROM unnest(rows, plans) r WHERE r.fate IN (1, 2, 4);
    INSERT INTO res (rid, type, id, ver, deleted, updated, hash, idx_gen, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts)
    SELECT r.rid, r.type, r.id, r.version, false, r.moment, r.hash, generation, r.acl || r.added || r.keys, r.refs,
      r.t1, r.t1h, r.t2, r.t2h, r.t3, r.t3h, r.s1, r.strs, r.sorts
    FROM unnest(rows, plans, spread) r WHERE r.fate = 1 AND r.former = 0;
    IF written <> '{}' THEN
      INSERT INTO res AS o (rid, type, id, ver, deleted, updated, hash, idx_gen, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts)
      SELECT r.rid, r.type, r.id, r.version, r.fate = 4, r.moment, r.hash, generation,
        CASE WHEN r.fate = 4 THEN '{}' ELSE r.acl || r.added || r.keys END, coalesce(r.refs, '{}'),
        r.t1, r.t1h, r.t2, r.t2h, r.t3, r.t3h, r.s1, r.strs, r.sorts
      FROM unnest(rows, plans, spread) r WHERE r.fate IN (1, 2, 4) AND r.former > 0 ORDER BY r.rid
      ON CONFLICT (rid, type) DO UPDATE SET ver = excluded.ver, deleted = excluded.deleted, updated = excluded.updated, hash = excluded.hash,
        idx_gen = CASE WHEN excluded.deleted THEN o.idx_gen ELSE excluded.idx_gen END, keys = excluded.keys, refs = excluded.refs,
        t1 = excluded.t1, t1h = excluded.t1h, t2 = excluded.t2, t2h = excluded.t2h, t3 = excluded.t3, t3h = excluded.t3h,
        s1 = excluded.s1, strs = excluded.strs, sorts = excluded.sorts
      WHERE o.ver = excluded.ver - 1;
      GET DIAGNOSTICS met = ROW_COUNT;
      IF met < cardinality(written) THEN
        PERFORM access_torn();
      END IF;
      DELETE FROM rng g WHERE g.rid = ANY (written);
    END IF;
    INSERT INTO rng (grp, lo, hi, rid, ver)
    SELECT g.grp, g.lo, g.hi, r.rid, r.version FROM unnest(rows, plans) r, unnest(r.grps, r.los, r.his) AS g (grp, lo, hi) WHERE r.fate IN (1, 2) ORDER BY g.grp, g.lo, g.hi, r.rid;
    INSERT INTO audit (rid, type, id, ver, interaction, request, outcome, client, agent, orgs, origin, patients, patient, others, detail)
    SELECT r.rid, r.type, r.id, r.version, r.interaction, r.request, r.outcome, r.client, r.agent, r.orgs, r.address, r.patients, r.patient, r.others, r.detail::jsonb
    FROM unnest(rows, plans) r WHERE r.fate IN (1, 2, 4) AND r.interaction IS NOT NULL;
  END IF;
  IF holder IS NOT NULL THEN
    INSERT INTO idempotency (holder, key, digest, asked, codec, body, types, ids, vers, outcomes, times)
    SELECT write_batch.holder, write_batch.key, write_batch.digest, write_batch.asked, packing, answer, coalesce(array_agg(r.type ORDER BY r.ordinality), '{}'),
      coalesce(array_agg(r.id ORDER BY r.ordinality), '{}'), coalesce(array_agg(r.version ORDER BY r.ordinality), '{}'),
      coalesce(array_agg(r.fate ORDER BY r.ordinality), '{}'), coalesce(array_agg(coalesce((extract(epoch FROM r.moment) * 1000000)::bigint, 0) ORDER BY r.ordinality), '{}')
    FROM unnest(rows, plans) WITH ORDINALITY r;
  END IF;
  RETURN QUERY SELECT * FROM unnest(plans);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The keys that rows are given beside their own, by what the targets lead to, which no other transaction changes: NULL for none at all.
-- What a target leads to is looked up once for all rows that have it.
CREATE FUNCTION write_spread(rows write_row[], plans write_plan[], targets bigint[]) RETURNS write_keys[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  next bigint[] := targets;
  found access_grant[];
  edges access_grant[] := '{}';
BEGIN
  LOOP
    found := ARRAY(SELECT DISTINCT (0, g.target, g.key, 0, g.leads)::access_grant FROM access_grant g WHERE g.target = ANY (next));
    edges := edges || found;
    next := ARRAY(SELECT DISTINCT f.key FROM unnest(found) f WHERE f.leads > 0 AND NOT EXISTS (SELECT FROM unnest(edges) e WHERE e.target = f.key));
    EXIT WHEN next = '{}';
  END LOOP;
  IF edges = '{}' THEN
    RETURN NULL;
  END IF;
  RETURN ARRAY(
    WITH RECURSIVE c (root, key, leads) AS (
      SELECT e.target, e.key, e.leads FROM unnest(edges) e WHERE e.target = ANY (targets)
      UNION SELECT c.root, e.key, e.leads FROM c JOIN unnest(edges) e ON e.target = c.key WHERE c.leads > 0),
    s AS (SELECT r.ordinality AS n, r.acl, unnest(r.sources || r.rid) AS root FROM unnest(rows, plans) WITH ORDINALITY r WHERE r.fate IN (1, 2)),
    k AS (SELECT s.n, array_agg(DISTINCT c.key) AS added FROM s JOIN c ON c.root = s.root WHERE NOT c.key = ANY (s.acl) GROUP BY s.n)
    SELECT ROW(k.added)::write_keys FROM generate_series(1, cardinality(rows)) i LEFT JOIN k ON k.n = i ORDER BY i);
END $$;
-- +goose StatementEnd
