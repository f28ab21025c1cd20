WITH s AS MATERIALIZED (SELECT r.keys, r.refs FROM res_task r WHERE NOT r.deleted AND r.keys @> '{5122081372817793513}'::bigint[]),
t AS (SELECT DISTINCT x FROM s, unnest(s.refs) x WHERE (s.keys @> ARRAY[x # '4587636688919699936'::bigint]))
SELECT x FROM t ORDER BY x LIMIT 2000
