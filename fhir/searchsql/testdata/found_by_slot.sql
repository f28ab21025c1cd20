WITH p1 AS MATERIALIZED (SELECT r.rid, r.type, r.id, r.ver, r.updated, r.rid AS k1 FROM res_task r WHERE NOT r.deleted AND ((r.t1 >= '2023-12-31 23:00:00Z'::timestamptz) OR (r.t1h - r.t1 > interval '25 hours' AND r.t1h >= '2024-01-02 00:00:00Z'::timestamptz AND r.t1 < '2023-12-31 23:00:00Z'::timestamptz)) AND ((r.t1h > '2024-01-02 00:00:00Z'::timestamptz OR r.t1 >= '2024-01-02 00:00:00Z'::timestamptz OR r.t1 >= '2024-01-01 00:00:00Z'::timestamptz AND r.t1h <= '2024-01-02 00:00:00Z'::timestamptz AND r.t1 < '2024-01-02 00:00:00Z'::timestamptz)) IS TRUE),
p2 AS MATERIALIZED (SELECT * FROM p1 ORDER BY k1 LIMIT 21)
SELECT m.rid, m.type, m.id, m.ver, m.updated, '=' || m.k1, v.codec, v.body
FROM p2 m JOIN ver v ON v.rid = m.rid AND v.ver = m.ver ORDER BY m.k1
