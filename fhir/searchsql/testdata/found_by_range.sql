WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res_task r WHERE NOT r.deleted AND (r.rid, r.ver) IN (SELECT g.rid, g.ver FROM rng g WHERE (g.grp = '4841074156207301612'::bigint AND (g.hi > '5'::float8)))),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1, v.codec, v.body
FROM p2 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver ORDER BY m.k1
