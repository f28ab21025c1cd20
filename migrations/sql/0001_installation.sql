-- +goose Up

-- What makes this installation itself. It lives in the database so that it travels with every backup.
CREATE TABLE installation (
  id              boolean     PRIMARY KEY DEFAULT true CHECK (id),   -- there is one row
  hash_secret     bytea       NOT NULL CHECK (length(hash_secret) = 16), -- SipHash key of rid, keys and hash; never changes
  signing_key     bytea       NOT NULL CHECK (length(signing_key) = 32), -- own tokens
  cursor_key      bytea       NOT NULL CHECK (length(cursor_key) = 32),  -- paging links and feed cursors
  feed_generation bigint      NOT NULL DEFAULT 1, -- part of each feed cursor; every restore adds one
  base_url        text,                           -- public base URL, NULL until configured
  created         timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE installation IS 'Secrets, feed generation and public address: one row';

-- Two random UUIDs hold 244 random bits; SHA-256 spreads them over 32 bytes without fixed version bits.
INSERT INTO installation (hash_secret, signing_key, cursor_key)
SELECT substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FOR 16),
       sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
       sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
