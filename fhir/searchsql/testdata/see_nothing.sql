WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res_task r WHERE false)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1
FROM p1 m ORDER BY m.k1
