-- People, their sessions, and who may look at them.
--
-- Times are seconds since 1970 in UTC. Secrets are kept as SHA-256 alone: whoever reads a copy of
-- this file can sign in as nobody. Ids are never used twice (AUTOINCREMENT), because a home
-- directory is named after its user's.
--
-- To come, and why nothing here is in their way: classes and rosters hang on users.id and
-- sessions.id in tables of their own; a sign-in elsewhere (OIDC, LTI) is a table of issuer and
-- subject per user, beside password_hash, which may be null.

PRAGMA application_id = 1281455220; -- "Latt"

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL, -- the name in lower case, by Unicode's rules
    display_name  TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('member', 'admin')),
    password_hash TEXT,             -- argon2id, as a PHC string
    created_at    INTEGER NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    deleted_at    INTEGER
) STRICT;
-- A name is free again once its user is deleted.
CREATE UNIQUE INDEX users_name ON users (name_key) WHERE deleted_at IS NULL;

CREATE TABLE sessions (
    id         TEXT    PRIMARY KEY,
    owner      INTEGER NOT NULL REFERENCES users (id),
    template   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    desired    TEXT    NOT NULL CHECK (desired IN ('running', 'stopped')),
    created_at INTEGER NOT NULL,
    started_at INTEGER,            -- when a start was last asked for
    deleted_at INTEGER             -- the row goes once the runtime has removed the desktop
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_owner ON sessions (owner);

CREATE TABLE links (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    session    TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    role       TEXT    NOT NULL CHECK (role IN ('view', 'assist', 'control')),
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_by INTEGER NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    max_uses   INTEGER CHECK (max_uses > 0),
    uses       INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER
) STRICT;
CREATE INDEX links_session ON links (session);
CREATE INDEX links_expiry ON links (expires_at) WHERE revoked_at IS NULL;

-- An authenticated browser: of a user, or of a guest who came by a link.
CREATE TABLE logins (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash   BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX logins_user ON logins (user);

-- What a redeemed link gives: to a user wherever they sign in, or to one guest's browser. It holds
-- as long as the link does.
CREATE TABLE grants (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    link       INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    user       INTEGER REFERENCES users (id) ON DELETE CASCADE,
    login      INTEGER REFERENCES logins (id) ON DELETE CASCADE,
    granted_at INTEGER NOT NULL,
    CHECK ((user IS NULL) <> (login IS NULL)),
    UNIQUE (link, user),
    UNIQUE (link, login)
) STRICT;
CREATE INDEX grants_user ON grants (user);
CREATE INDEX grants_login ON grants (login);

-- A browser that a user has signed in with before. Whoever guesses the user's password elsewhere
-- does not lock it out.
CREATE TABLE devices (
    token_hash   BLOB    NOT NULL CHECK (length(token_hash) = 32),
    user         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (token_hash, user)
) STRICT, WITHOUT ROWID;

-- Sign-ins that work once: the first administrator's, and those of accounts without a password.
CREATE TABLE one_time (
    token_hash BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

-- Bearer tokens of programs.
CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash   BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);

PRAGMA user_version = 1;
