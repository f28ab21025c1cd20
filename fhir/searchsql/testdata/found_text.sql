WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res_task r WHERE NOT r.deleted AND r.keys @> '{-8080268779794559339}'::bigint[] AND (strpos(r.strs, $1) > 0) IS TRUE),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1, v.codec, v.body
FROM p2 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver ORDER BY m.k1
-- $1: "\x1fchristopher"
