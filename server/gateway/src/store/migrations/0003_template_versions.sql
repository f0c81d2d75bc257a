-- What a session is made of, where that was changed: versions of its template, to go back to.

CREATE TABLE template_versions (
    session    TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL CHECK (number >= 0), -- 0: what it was before the first change
    text       TEXT    NOT NULL,
    author     INTEGER REFERENCES users (id),        -- nobody's: the server's own template
    created_at INTEGER NOT NULL,
    note       TEXT    NOT NULL,
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;
ALTER TABLE sessions ADD COLUMN template_version INTEGER NOT NULL DEFAULT 0; -- the newest; 0: the server's own

PRAGMA user_version = 3;
