WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1, r.keys, r.refs FROM res_task r WHERE NOT r.deleted AND r.rid = ANY ('{1,2}'::bigint[])),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT g.gen, coalesce(m.rid, 0), coalesce(m.type, 0), coalesce(m.id, ''), coalesce(m.ver, 0), coalesce(m.updated, to_timestamp(0)), '=' || m.k1, ARRAY(SELECT x FROM unnest(m.refs) x WHERE m.keys @> ARRAY[x # '4587636688919699936'::bigint]), coalesce(v.codec, 0), v.body
FROM search_generation g LEFT JOIN (p2 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver) ON true ORDER BY m.k1
