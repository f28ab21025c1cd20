-- +goose Up

-- The authorization server. Whatever opens a door is kept as the SHA-256 of at least 256 random bits, never as itself. Times come from
-- the program, so that all of them are of one clock.

CREATE TABLE oauth_client (
  id             text        PRIMARY KEY CHECK (id <> ''),
  name           text        NOT NULL,
  public         boolean     NOT NULL, -- it has no credentials
  native         boolean     NOT NULL, -- a program on a person's machine: any port of a loopback redirect URI
  secret_hash    bytea       CHECK (length(secret_hash) = 32),
  jwks_url       text        NOT NULL,
  jwks           text        NOT NULL, -- its public keys themselves, instead of jwks_url
  redirect_uris  text[]      NOT NULL,
  launch_urls    text[]      NOT NULL,
  origins        text[]      NOT NULL, -- of its scripts, for CORS
  scopes         text        NOT NULL, -- that it may be granted
  organizations  text[]      NOT NULL, -- ids of those that it acts for without a user
  sees_all       boolean     NOT NULL, -- without a user it sees whatever its scopes name
  roles          smallint    NOT NULL,
  clearance      text[]      NOT NULL,
  access_minutes int         NOT NULL CHECK (access_minutes BETWEEN 0 AND 10), -- 0: the usual time
  rotates        boolean     NOT NULL, -- refresh tokens change although the client is confidential
  launches       boolean     NOT NULL, -- it may launch other apps
  introspects    boolean     NOT NULL, -- it may ask about tokens of other clients
  active         boolean     NOT NULL,
  created        timestamptz NOT NULL,
  CHECK (NOT public OR secret_hash IS NULL AND jwks_url = '' AND jwks = ''),
  CHECK ((secret_hash IS NOT NULL)::int + (jwks_url <> '')::int + (jwks <> '')::int <= 1)
);
COMMENT ON TABLE oauth_client IS 'Apps and systems that may ask for tokens';

-- An authorization request that was found good and waits for the person.
CREATE TABLE oauth_request (
  hash    bytea       PRIMARY KEY,
  client  text        NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  asked   jsonb       NOT NULL,
  expires timestamptz NOT NULL
);
CREATE INDEX oauth_request_expires ON oauth_request (expires);

-- What an EHR hands to an app that it opens.
CREATE TABLE oauth_launch (
  hash    bytea       PRIMARY KEY,
  client  text        NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  context jsonb       NOT NULL,
  expires timestamptz NOT NULL,
  used    timestamptz
);
CREATE INDEX oauth_launch_expires ON oauth_launch (expires);

-- What somebody has allowed a client. A token is good only while its grant is.
CREATE TABLE oauth_grant (
  id            text        PRIMARY KEY,
  client        text        NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  account       text        NOT NULL, -- empty for a client that acts for itself
  session       text        NOT NULL, -- browser session that it ends with; empty for none
  scopes        text        NOT NULL,
  context       jsonb       NOT NULL, -- user, patient, encounter and what else goes with each token
  organizations text[]      NOT NULL,
  created       timestamptz NOT NULL,
  redeemed      timestamptz,          -- when the first token was given out
  used          timestamptz,          -- when the last one was
  expires       timestamptz NOT NULL,
  revoked       timestamptz,
  reach         text        NOT NULL CHECK (reach IN ('once', 'online', 'offline')) -- whether there are refresh tokens, and how long
);
COMMENT ON TABLE oauth_grant IS 'What somebody has allowed a client: every token hangs on one';
CREATE INDEX oauth_grant_account ON oauth_grant (account) WHERE account <> '';
CREATE INDEX oauth_grant_session ON oauth_grant (session) WHERE session <> '';
CREATE INDEX oauth_grant_client ON oauth_grant (client);
CREATE INDEX oauth_grant_expires ON oauth_grant (expires);

CREATE TABLE oauth_code (
  hash         bytea       PRIMARY KEY,
  grant_id     text        NOT NULL REFERENCES oauth_grant ON DELETE CASCADE,
  challenge    text        NOT NULL, -- of PKCE, S256
  redirect_uri text        NOT NULL,
  nonce        text        NOT NULL,
  expires      timestamptz NOT NULL,
  used         timestamptz
);
CREATE INDEX oauth_code_grant ON oauth_code (grant_id);

-- A refresh token is good while its grant is and it has no successor. The tokens of one grant are a family.
CREATE TABLE oauth_refresh (
  hash      bytea       PRIMARY KEY,
  grant_id  text        NOT NULL REFERENCES oauth_grant ON DELETE CASCADE,
  created   timestamptz NOT NULL,
  replaced  timestamptz,
  successor bytea,
  answer    bytea       -- what was answered when it was replaced, under a key that only the token gives
);
CREATE INDEX oauth_refresh_grant ON oauth_refresh (grant_id);

-- Client assertions that were used.
CREATE TABLE oauth_assertion (
  client  text        NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  jti     text        NOT NULL,
  expires timestamptz NOT NULL,
  PRIMARY KEY (client, jti)
);
CREATE INDEX oauth_assertion_expires ON oauth_assertion (expires);

-- Initial access tokens of dynamic registration.
CREATE TABLE oauth_registration (
  hash          bytea       PRIMARY KEY,
  note          text        NOT NULL,
  scopes        text        NOT NULL, -- that a client registered with it may be granted
  organizations text[]      NOT NULL,
  remaining     int         NOT NULL CHECK (remaining >= 0),
  expires       timestamptz NOT NULL
);

-- Keys that sign tokens. The private half is sealed by a key of the installation.
CREATE TABLE oauth_key (
  kid     text        PRIMARY KEY,
  alg     text        NOT NULL CHECK (alg IN ('ES256', 'RS256')), -- access tokens; identity tokens
  public  jsonb       NOT NULL,
  private bytea       NOT NULL,
  starts  timestamptz NOT NULL, -- published before, signs from then on until the next one starts
  UNIQUE (alg, starts)
);
COMMENT ON TABLE oauth_key IS 'Keys that sign tokens; the private half is sealed';
