WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.updated AS k1, r.rid AS k2 FROM res_task r WHERE NOT r.deleted AND ('{-497831426147922375,4011763116526779692,2063980251720190244}'::bigint[] && r.keys) IS TRUE AND (r.keys @> '{5122081372817793513}'::bigint[]) IS TRUE AND NOT ((r.keys && '{1473272801210169350,5173467812864646246}'::bigint[]) IS TRUE) ORDER BY k1 DESC, k2 DESC LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '@' || (extract(epoch FROM m.k1) * 1000000)::bigint, '=' || m.k2
FROM p1 m ORDER BY m.k1 DESC, m.k2 DESC
