-- +goose Up

-- +goose StatementBegin
-- Takes a snapshot. It says how far change_seq had come before and has come after it, and which xid, of 32 bits, was the next one then.
-- A snapshot says nothing of transactions from its xmax on but that they were not done; some may have been going on and have numbers
-- already. Those from next on had not: they take greater numbers than low. What the snapshot shows has none greater than high.
CREATE FUNCTION feed_begin(OUT low bigint, OUT taken pg_snapshot, OUT next bigint, OUT high bigint)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- Each statement of a volatile function has a snapshot of its own.
  SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO low FROM change_seq s;
  SELECT pg_current_snapshot() INTO taken;
  SELECT (age('3'::xid)::bigint + 3) & 4294967295 INTO next;
  SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO high FROM change_seq s;
END $$;
-- +goose StatementEnd
