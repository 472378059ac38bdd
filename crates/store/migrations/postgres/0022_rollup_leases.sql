-- A day is folded in many short transactions. Until when it is left to whoever claimed it.
ALTER TABLE mainstay.rollup_day ADD COLUMN leased_until timestamptz NOT NULL DEFAULT 'epoch';
-- Its random number, by which a claim is told from another that has the same `changes`.
ALTER TABLE mainstay.rollup_day ADD COLUMN claim bigint NOT NULL DEFAULT 0;
