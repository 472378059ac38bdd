-- A day is folded in many short transactions. Until when it is left to whoever claimed it.
ALTER TABLE rollup_day ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0;
-- Its random number, by which a claim is told from another that has the same `changes`.
ALTER TABLE rollup_day ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
