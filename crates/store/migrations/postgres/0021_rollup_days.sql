-- Hours of a day folded into day rows, so that a long time is read in few of them. `day` is the first instant of the
-- day (UTC).

-- Every day that has a counted hour. Its first `hours` hours are folded: what day rows say is true only where this is
-- more than none. `changes` grows with every change to an hour, so that a fold of what was read before it is refused.
CREATE TABLE mainstay.rollup_day (
    site    text        COLLATE "C" NOT NULL,
    day     timestamptz NOT NULL,
    hours   bigint      NOT NULL DEFAULT 0,
    changes bigint      NOT NULL DEFAULT 1,
    PRIMARY KEY (site, day)
);
CREATE INDEX rollup_day_open ON mainstay.rollup_day (site, day) WHERE hours < 24;

CREATE TABLE mainstay.rollup_day_key (
    site      text        COLLATE "C" NOT NULL,
    dimension text        NOT NULL,
    day       timestamptz NOT NULL,
    key       text        COLLATE "C" NOT NULL,
    bot       boolean     NOT NULL,
    pageviews bigint      NOT NULL,
    visitors  bigint      NOT NULL,
    PRIMARY KEY (site, dimension, day, key, bot)
);
CREATE INDEX rollup_day_key_day ON mainstay.rollup_day_key USING brin (day);

-- `vitals` holds all of a key's vitals, their counts and sketches, in one value.
CREATE TABLE mainstay.rollup_day_vital (
    site      text        COLLATE "C" NOT NULL,
    dimension text        NOT NULL,
    day       timestamptz NOT NULL,
    key       text        COLLATE "C" NOT NULL,
    bot       boolean     NOT NULL,
    vitals    bytea       NOT NULL,
    PRIMARY KEY (site, dimension, day, key, bot)
) WITH (toast_tuple_target = 8160);
-- Sketches are dense already: packing them again, or keeping them aside, would cost every reader.
ALTER TABLE mainstay.rollup_day_vital ALTER COLUMN vitals SET STORAGE EXTERNAL;
CREATE INDEX rollup_day_vital_day ON mainstay.rollup_day_vital USING brin (day);

-- An hour is replaced by deleting its totals and inserting others: whoever does it takes back the day rows that tell of
-- the hour, in the same transaction, and holds the day's row until its end. A day that was removed does not come back by
-- removing its hours.
CREATE FUNCTION mainstay.rollup_total_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mainstay.rollup_day
    SET changes = changes + 1,
        hours = CASE WHEN OLD.hour < day + hours * INTERVAL '1 hour' THEN 0 ELSE hours END
    WHERE site = OLD.site AND day = date_trunc('day', OLD.hour, 'UTC');
    RETURN NULL;
END $$;
CREATE TRIGGER rollup_total_gone AFTER DELETE ON mainstay.rollup_total
    FOR EACH ROW EXECUTE FUNCTION mainstay.rollup_total_gone();

CREATE FUNCTION mainstay.rollup_total_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO mainstay.rollup_day AS d (site, day)
    VALUES (NEW.site, date_trunc('day', NEW.hour, 'UTC'))
    ON CONFLICT (site, day) DO UPDATE
    SET changes = d.changes + 1,
        hours = CASE WHEN NEW.hour < d.day + d.hours * INTERVAL '1 hour' THEN 0 ELSE d.hours END;
    RETURN NULL;
END $$;
CREATE TRIGGER rollup_total_counted AFTER INSERT ON mainstay.rollup_total
    FOR EACH ROW EXECUTE FUNCTION mainstay.rollup_total_counted();

INSERT INTO mainstay.rollup_day (site, day) SELECT DISTINCT site, date_trunc('day', hour, 'UTC') FROM mainstay.rollup_total;
