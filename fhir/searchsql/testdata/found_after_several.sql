WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, nullif(split_part(split_part(r.sorts, E'\x1f', 9), E'\x1e', 1), '') AS k1, r.t1 AS k2, nullif(split_part(split_part(r.sorts, E'\x1f', 5), E'\x1e', 1), '') AS k3, r.rid AS k4 FROM res_task r WHERE NOT r.deleted AND r.keys @> '{5122081372817793513}'::bigint[]),
p2 AS MATERIALIZED (SELECT * FROM p1 WHERE (k1 > $1 OR k1 = $2 AND (k2 < '2024-01-01 00:00:00Z'::timestamptz OR k2 = '2024-01-01 00:00:00Z'::timestamptz AND (k3 IS NULL AND (k4 > '-42'::bigint)) OR k2 IS NULL) OR k1 IS NULL) ORDER BY k1, k2 DESC NULLS LAST, k3, k4 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1, '@' || (extract(epoch FROM m.k2) * 1000000)::bigint, '=' || m.k3, '=' || m.k4
FROM p2 m ORDER BY m.k1, m.k2 DESC NULLS LAST, m.k3, m.k4
-- $1: "chris"
-- $2: "chris"
