-- A day is folded in many short transactions. Until when it is left to whoever claimed it.
ALTER TABLE mainstay.rollup_day ADD COLUMN leased_until timestamptz NOT NULL DEFAULT 'epoch';
