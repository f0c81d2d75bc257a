-- Links that show one preview and nothing else. They are kept apart from those of desktops, so that
-- whatever asks for those cannot mistake one of these for one.

CREATE TABLE preview_links (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    session    TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    port       INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_by INTEGER NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses       INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER
) STRICT;
CREATE INDEX preview_links_session ON preview_links (session);

PRAGMA user_version = 5;
