-- Links that a program of the desktop asked for: such programs see and end these, and no others.

ALTER TABLE links ADD COLUMN from_desktop INTEGER NOT NULL DEFAULT 0 CHECK (from_desktop IN (0, 1));

PRAGMA user_version = 6;
