-- +goose Up

-- Own access keys of a version: those of its content, and of its writer's side. NULL: it is from before there were any, and who may
-- see it is not known. No program has written any so far.
ALTER TABLE ver DROP COLUMN acl;
ALTER TABLE ver ADD COLUMN acl bigint[];

-- What resources give to others: whatever has the key target, or is the resource with that rid, also has the key. A resource has its
-- own keys and, by way of them and its rid, those that it is given: its effective keys, which res.keys holds beside the search keys.
CREATE TABLE access_grant (
  basis  bigint   NOT NULL, -- rid of the resource that gives
  target bigint   NOT NULL, -- access key, or rid
  key    bigint   NOT NULL, -- access key, or rid
  step   smallint NOT NULL CHECK (step BETWEEN 1 AND 4), -- of target: 1 a Binary, 2 another resource, 3 a record, 4 a party
  leads  smallint NOT NULL CHECK (leads = 0 OR leads > step), -- step of the key where it is a target, 0 where it cannot be: no circles
  PRIMARY KEY (target, key, basis) INCLUDE (leads)
);
COMMENT ON TABLE access_grant IS 'Access keys that resources give to others';
CREATE INDEX access_grant_basis ON access_grant (basis);

-- +goose StatementBegin
-- The effective keys of what has a rid and own keys, as the statement that asks sees the gifts, some perhaps twice. NULL if the own keys are.
CREATE FUNCTION access_of(own bigint[], rid bigint) RETURNS bigint[]
LANGUAGE plpgsql STABLE STRICT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  next bigint[] := own || rid;
  given bigint[];
  most smallint;
BEGIN
  LOOP
    SELECT array_agg(g.key), max(g.leads) INTO given, most FROM access_grant g WHERE g.target = ANY (next) AND NOT g.key = ANY (own);
    IF given IS NULL THEN
      RETURN own;
    END IF;
    IF cardinality(given) > 4 THEN -- many may give the same
      given := ARRAY(SELECT DISTINCT k FROM unnest(given) k);
    END IF;
    own := own || given;
    IF most = 0 THEN
      RETURN own;
    END IF;
    next := given;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The same for who is about to write a row with these keys: whoever changes a gift that counts for it waits until that is committed,
-- and the gifts are looked up after all who were at it are done. sources are those of the own keys that can be targets.
CREATE FUNCTION access_held(own bigint[], sources bigint[], rid bigint) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  effective bigint[] := own;
  next bigint[] := rid || sources;
  given bigint[];
  target bigint;
  waited boolean;
BEGIN
  LOOP
    FOREACH target IN ARRAY next LOOP
      waited := pg_advisory_xact_lock_shared(target) IS NULL;
    END LOOP;
    SELECT array_agg(q.key), array_agg(q.key ORDER BY q.leads, q.key) FILTER (WHERE q.leads > 0) INTO given, next
    FROM (SELECT DISTINCT g.key, g.leads FROM access_grant g WHERE g.target = ANY (next) AND NOT g.key = ANY (effective)) q;
    effective := effective || given;
    IF next IS NULL THEN
      RETURN effective;
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The same for who is about to write the first version of what gives nothing; NULL if it may not be so simple: there are versions, or
-- what it is given leads on.
CREATE FUNCTION access_new(own bigint[], sources bigint[], rid bigint) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  waited boolean;
  source bigint;
  given access_grant;
BEGIN
  waited := pg_advisory_xact_lock(~rid) IS NULL OR pg_advisory_xact_lock_shared(rid) IS NULL;
  FOREACH source IN ARRAY sources LOOP
    waited := pg_advisory_xact_lock_shared(source) IS NULL;
  END LOOP;
  PERFORM FROM ver v WHERE v.rid = access_new.rid;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  FOR given IN SELECT g.* FROM access_grant g WHERE g.target = ANY (rid || sources) LOOP
    IF given.leads > 0 THEN
      RETURN NULL;
    ELSIF NOT given.key = ANY (own) THEN
      own := own || given.key;
    END IF;
  END LOOP;
  RETURN own;
END $$;
-- +goose StatementEnd

CREATE TYPE access_row AS (rid bigint, type smallint, ver int, own bigint[], effective bigint[]);

-- +goose StatementBegin
-- Makes the gifts of a resource those given here, and gives all rows that this is about their new keys. A gift is a target, a key and
-- a mark: step, 8 * leads, and 64 if it may be given newly. A gift that there is stays while it is named. Whoever calls this holds the
-- lock on the basis. It may be a Patient's own gift of the record (registers): where that ends, what others have given of the record on
-- ends too, until somebody who has it gives it anew. Locks of targets are taken in the order of their steps, all before those of rows, and these in the order of rids.
CREATE FUNCTION access_give(giver bigint, sources bigint[], targets bigint[], keys bigint[], marks bigint[],
  registers boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  added access_grant[];
  dropped access_grant[];
  changed bigint[];
  next bigint[];
  met access_row[];
  x record;
  waited boolean;
BEGIN
  added := ARRAY(SELECT DISTINCT (giver, n.target, n.key, n.mark & 7, n.mark >> 3 & 7)::access_grant
    FROM unnest(targets, keys, marks) AS n (target, key, mark)
    WHERE n.mark & 64 <> 0 AND NOT EXISTS (SELECT FROM access_grant g WHERE g.basis = giver AND g.target = n.target AND g.key = n.key));
  dropped := ARRAY(SELECT g FROM access_grant g WHERE g.basis = giver
    AND NOT EXISTS (SELECT FROM unnest(targets, keys) AS n (target, key) WHERE g.target = n.target AND g.key = n.key));
  IF cardinality(added) + cardinality(dropped) = 0 THEN
    RETURN;
  END IF;
  changed := ARRAY(SELECT DISTINCT c.target FROM unnest(added || dropped) c);

  FOR x IN SELECT l.target, bool_or(l.alone) AS alone FROM (
      SELECT c.target, c.step, true AS alone FROM unnest(added || dropped) c
      UNION ALL SELECT c.key, c.leads, false FROM unnest(added) c WHERE c.leads > 0
      UNION ALL SELECT giver, 2::smallint, false
      UNION ALL SELECT s, (s & 7)::smallint, false FROM unnest(sources) s) l
    GROUP BY l.target ORDER BY min(l.step), l.target
  LOOP
    IF x.alone THEN
      waited := pg_advisory_xact_lock(x.target) IS NULL;
    ELSE
      waited := pg_advisory_xact_lock_shared(x.target) IS NULL;
    END IF;
  END LOOP;
  -- Nobody else changes gifts of what is locked now.
  dropped := dropped || ARRAY(SELECT g FROM access_grant g WHERE registers AND g.basis <> giver
    AND g.target = ANY (ARRAY(SELECT d.target FROM unnest(dropped) d WHERE d.step = 3)));
  -- What the given keys and the own ones lead to must stay as it is, too.
  next := giver || sources || ARRAY(SELECT c.key FROM unnest(added) c WHERE c.leads > 0);
  LOOP
    next := ARRAY(SELECT q.key FROM (SELECT DISTINCT g.key, g.leads FROM access_grant g
      WHERE g.target = ANY (next) AND g.leads > 0 AND NOT g.key = ANY (next || changed)) q ORDER BY q.leads, q.key);
    EXIT WHEN next = '{}';
    FOR x IN SELECT unnest(next) AS target LOOP
      waited := pg_advisory_xact_lock_shared(x.target) IS NULL;
    END LOOP;
  END LOOP;

  FOR x IN SELECT q.rid, q.type FROM (
      SELECT r.rid, r.type FROM res r WHERE r.keys && changed
      UNION SELECT r.rid, r.type FROM res r WHERE r.rid = ANY (changed || giver) AND NOT r.deleted) q ORDER BY q.rid LOOP
    PERFORM FROM res r WHERE r.rid = x.rid AND r.type = x.type FOR UPDATE;
    IF x.rid <> giver THEN
      next := next || x.rid;
    END IF;
  END LOOP;
  IF next <> '{}' THEN
    met := ARRAY(SELECT (r.rid, r.type, r.ver, v.acl, access_of(v.acl, r.rid))::access_row
      FROM res r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver
      WHERE r.rid = ANY (next) AND NOT r.deleted AND v.acl IS NOT NULL);
  END IF;
  DELETE FROM access_grant g USING unnest(dropped) d WHERE g.target = d.target AND g.key = d.key AND g.basis = d.basis;
  INSERT INTO access_grant SELECT a.* FROM unnest(added) a;
  IF met IS NULL THEN
    RETURN;
  END IF;
  WITH now AS MATERIALIZED (SELECT m.rid, m.type, m.ver, m.effective AS before, access_of(m.own, m.rid) AS after FROM unnest(met) m),
  n AS MATERIALIZED (SELECT * FROM now WHERE NOT (before @> after AND after @> before)),
  e AS (
    INSERT INTO access_event (rid, ver, old_acl, new_acl, reason)
    SELECT rid, ver, before, after, CASE WHEN after @> before THEN 'granted' WHEN before @> after THEN 'withdrawn' ELSE 'changed' END FROM n)
  UPDATE res r SET keys = ARRAY(SELECT k FROM unnest(r.keys) k WHERE NOT k = ANY (n.before) OR k = ANY (n.after)
      UNION SELECT k FROM unnest(n.after) k)
  FROM n WHERE r.rid = n.rid AND r.type = n.type;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Decides whether a version may be written, and for whom. op is that of the version, or I for a row that is only indexed; hash is that
-- of the body; version is the current one that is expected, 0 for any, -1 for none. Nobody else writes the resource or changes its
-- gifts before this transaction ends. acl are the own keys of the version; unless it goes, it may not be written, and nothing has been
-- changed. keys are the effective ones, gone says that there was no resource before.
CREATE FUNCTION access_write(op text, rid bigint, type smallint, id text, hash bigint, version int,
  own bigint[], sources bigint[], authors bigint[], targets bigint[], given bigint[], marks bigint[],
  OUT goes boolean, OUT gone boolean, OUT acl bigint[], OUT keys bigint[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  waited boolean;
  old record;
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
  IF targets <> '{}' OR old.ver IS NOT NULL AND EXISTS (SELECT FROM access_grant g WHERE g.basis = rid) THEN
    PERFORM access_give(rid, sources, targets, given, marks, type = 103 AND op <> 'I');
  END IF;
  IF op = 'D' THEN
    acl := old.acl;
    RETURN;
  END IF;
  keys := access_held(own, sources, rid);
  acl := own;
  IF authors <> '{}' OR old.acl IS NOT NULL THEN
    authors := ARRAY(SELECT k FROM unnest(authors) k UNION SELECT k FROM unnest(old.acl) k WHERE k & 7 = 5);
    acl := acl || authors;
    keys := keys || authors;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Undoes a statement that changed gifts but wrote no version: somebody wrote without access_write.
CREATE FUNCTION access_torn() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE EXCEPTION 'another program has changed the resource' USING ERRCODE = 'serialization_failure';
END $$;
-- +goose StatementEnd
