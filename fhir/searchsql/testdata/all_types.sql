WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.updated AS k1, r.rid AS k2 FROM res r WHERE NOT r.deleted AND r.keys && '{-9170805904026349852,-8898890040087331582}'::bigint[]),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1, k2 LIMIT 21)
SELECT g.gen, coalesce(m.rid, 0), coalesce(m.type, 0), coalesce(m.id, ''), coalesce(m.ver, 0), coalesce(m.updated, to_timestamp(0)), '@' || (extract(epoch FROM m.k1) * 1000000)::bigint, '=' || m.k2
FROM search_generation g LEFT JOIN p2 m ON true ORDER BY m.k1, m.k2
