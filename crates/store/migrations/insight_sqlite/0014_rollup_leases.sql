-- A day is folded in many short transactions. Until when it is left to whoever claimed it.
ALTER TABLE rollup_day ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0;
