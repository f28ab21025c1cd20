WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res r WHERE NOT r.deleted AND r.keys @> '{5122081372817793513}'::bigint[] AND ('{-497831426147922375,4011763116526779692,2063980251720190244}'::bigint[] && r.keys) IS TRUE AND r.type = ANY ('{103,140}'::smallint[])),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1
FROM p2 m ORDER BY m.k1
