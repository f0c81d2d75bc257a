-- Apps that were installed of a catalogue, for one person or for everybody.
--
-- `definition` is what the catalogue said of the app when it was installed, as a template with nothing
-- else in it: what is installed stays as it is, whatever becomes of the catalogue.

CREATE TABLE installed (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    app                 TEXT    NOT NULL,
    catalogue           TEXT    NOT NULL,
    owner               INTEGER REFERENCES users (id), -- nobody's own: everybody's
    image               TEXT    NOT NULL,              -- by its digest
    version             TEXT    NOT NULL,
    definition          TEXT    NOT NULL,
    previous_image      TEXT,
    previous_version    TEXT,
    previous_definition TEXT,
    installed_by        INTEGER NOT NULL REFERENCES users (id),
    installed_at        INTEGER NOT NULL,
    CHECK ((previous_image IS NULL) = (previous_version IS NULL)),
    CHECK ((previous_image IS NULL) = (previous_definition IS NULL))
) STRICT;
CREATE UNIQUE INDEX installed_app ON installed (app, coalesce(owner, 0));

-- Changes with what its owner has installed, or everybody has: what it is made of is then another.
ALTER TABLE sessions ADD COLUMN apps_revision INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 4;
