WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res_other r WHERE NOT r.deleted AND r.type = 58 AND r.rid = ANY ('{-2337498033779186353}'::bigint[]) AND r.keys && '{-9170805904026349852,-8898890040087331582}'::bigint[]),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1, v.codec, v.body
FROM p2 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver ORDER BY m.k1
