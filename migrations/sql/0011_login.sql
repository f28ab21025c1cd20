-- +goose Up

-- Who may sign in at the pages of this server. An account that signs in at another provider has no password here.
CREATE TABLE login_account (
  id          text        PRIMARY KEY,          -- random, never used again
  name        text        NOT NULL UNIQUE,      -- what is typed to sign in, folded
  display     text        NOT NULL,
  staff       boolean     NOT NULL,
  user_type   text,                             -- the Patient, RelatedPerson or Practitioner that it speaks for
  user_id     text,
  clearance   text[]      NOT NULL DEFAULT '{}',
  roles       smallint    NOT NULL DEFAULT 0,   -- access.Role
  password    text,                             -- argon2id in PHC form
  totp_secret bytea,                            -- NULL: no code is asked for
  totp_step   bigint      NOT NULL DEFAULT 0,   -- the newest 30 seconds whose code was used
  disabled    boolean     NOT NULL DEFAULT false,
  created     timestamptz NOT NULL DEFAULT now(),
  CHECK ((user_type IS NULL) = (user_id IS NULL))
);
COMMENT ON TABLE login_account IS 'Who may sign in';

CREATE TABLE login_identity (
  issuer  text NOT NULL,
  subject text NOT NULL,
  account text NOT NULL REFERENCES login_account ON DELETE CASCADE,
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX ON login_identity (account);
COMMENT ON TABLE login_identity IS 'Which account a person of another OpenID provider has';

-- Whoever reads this table cannot take a session over: it has hashes of the cookies only.
CREATE TABLE login_session (
  hash      bytea       PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the cookie
  account   text        NOT NULL REFERENCES login_account ON DELETE CASCADE,
  user_type text,                                              -- for whom it speaks; NULL: for nobody, so it opens no record
  user_id   text,
  unlinked  text        NOT NULL DEFAULT '',                   -- why it speaks for nobody
  provider  text        NOT NULL DEFAULT '',                   -- where the person signed in; '': here
  methods   text[]      NOT NULL,                              -- amr: pwd, otp
  assurance text        NOT NULL DEFAULT '',                   -- acr
  began     timestamptz NOT NULL,
  seen      timestamptz NOT NULL
);
CREATE INDEX ON login_session (account);
CREATE INDEX ON login_session (seen);
COMMENT ON TABLE login_session IS 'Browsers that are signed in';

CREATE TABLE login_upstream (
  state    bytea       PRIMARY KEY CHECK (length(state) = 32),   -- SHA-256 of the parameter state
  browser  bytea       NOT NULL CHECK (length(browser) = 32),    -- SHA-256 of the cookie of the browser that left
  provider text        NOT NULL,
  nonce    text        NOT NULL,
  verifier text        NOT NULL,                                 -- PKCE
  back     text        NOT NULL,                                 -- the request that the person came for; may be empty
  began    timestamptz NOT NULL
);
CREATE INDEX ON login_upstream (began);
COMMENT ON TABLE login_upstream IS 'Browsers that have left to sign in at another provider, for ten minutes';

-- How often a password was tried, by account name and by network. It is shared by all servers, so that a second one gives no second chance.
CREATE TABLE login_backoff (
  key   bytea            PRIMARY KEY CHECK (length(key) = 32),
  level double precision NOT NULL, -- tries that have not been forgotten yet
  seen  timestamptz      NOT NULL,
  until timestamptz      NOT NULL  -- no try before that
);
CREATE INDEX ON login_backoff (seen);
COMMENT ON TABLE login_backoff IS 'Tries to sign in that failed or are under way';
