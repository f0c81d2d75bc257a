-- Sessions that somebody has thrown away and can have back: a slip loses nothing.

ALTER TABLE sessions ADD COLUMN discarded_at INTEGER; -- the row goes some days later, unless it is taken back
ALTER TABLE sessions ADD COLUMN held_until INTEGER;   -- until when its programs are kept as they were

PRAGMA user_version = 2;
