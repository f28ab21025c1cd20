WITH s AS MATERIALIZED (SELECT r.keys, r.refs FROM res_task r WHERE NOT r.deleted AND r.keys && '{4,7}'::bigint[]),
t AS (SELECT DISTINCT x FROM s, unnest(s.refs) x WHERE (s.keys @> ARRAY[x # '5'::bigint] OR s.keys @> ARRAY[x # '6'::bigint]) AND x = ANY ('{1,2}'::bigint[]))
SELECT x FROM t ORDER BY x
