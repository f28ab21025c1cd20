WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.updated AS k1, r.rid AS k2 FROM res_task r WHERE NOT r.deleted AND (r.keys && '{-9170805904026349852,-8898890040087331582}'::bigint[]) IS TRUE ORDER BY k1 DESC, k2 DESC LIMIT 21),
p2 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.updated AS k1, r.rid AS k2 FROM res_observation r WHERE NOT r.deleted AND r.keys && '{-9170805904026349852,-8898890040087331582}'::bigint[]),
p3 AS MATERIALIZED (SELECT * FROM p2 ORDER BY k1 DESC, k2 DESC LIMIT 21),
p4 AS MATERIALIZED (SELECT * FROM (SELECT * FROM p1 UNION ALL SELECT * FROM p3) p ORDER BY k1 DESC, k2 DESC LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '@' || (extract(epoch FROM m.k1) * 1000000)::bigint, '=' || m.k2
FROM p4 m ORDER BY m.k1 DESC, m.k2 DESC
