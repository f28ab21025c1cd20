WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.t1 AS k1, r.rid AS k2 FROM res_task r WHERE NOT r.deleted AND (r.keys @> '{5122081372817793513}'::bigint[]) IS TRUE AND r.t1 IS NOT NULL ORDER BY k1 DESC, k2 DESC LIMIT 21),
p2 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.t1 AS k1, r.rid AS k2 FROM res_task r WHERE NOT r.deleted AND (r.keys @> '{5122081372817793513}'::bigint[]) IS TRUE AND r.t1 IS NULL AND (SELECT count(*) FROM p1) < 21 ORDER BY k2 DESC LIMIT 21),
p3 AS MATERIALIZED (SELECT * FROM (SELECT * FROM p1 UNION ALL SELECT * FROM p2) p ORDER BY k1 DESC NULLS LAST, k2 DESC LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '@' || (extract(epoch FROM m.k1) * 1000000)::bigint, '=' || m.k2, v.codec, v.body
FROM p3 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver ORDER BY m.k1 DESC NULLS LAST, m.k2 DESC
