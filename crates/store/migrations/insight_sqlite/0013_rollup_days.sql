-- Hours of a day folded into day rows, so that a long time is read in few of them. `day` is the first microsecond of
-- the day (UTC).

-- Every day that has a counted hour. Its first `hours` hours are folded: what day rows say is true only where this is
-- more than none. `changes` grows with every change to an hour, so that a fold of what was read before it is refused.
CREATE TABLE rollup_day (
    site    TEXT    NOT NULL,
    day     INTEGER NOT NULL,
    hours   INTEGER NOT NULL DEFAULT 0,
    changes INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (site, day)
) STRICT;
CREATE INDEX rollup_day_open ON rollup_day (site, day) WHERE hours < 24;

CREATE TABLE rollup_day_key (
    site      TEXT    NOT NULL,
    dimension TEXT    NOT NULL,
    day       INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    bot       INTEGER NOT NULL,
    pageviews INTEGER NOT NULL,
    visitors  INTEGER NOT NULL,
    PRIMARY KEY (site, dimension, day, key, bot)
) STRICT;

-- `vitals` holds all of a key's vitals, their counts and sketches, in one value.
CREATE TABLE rollup_day_vital (
    site      TEXT    NOT NULL,
    dimension TEXT    NOT NULL,
    day       INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    bot       INTEGER NOT NULL,
    vitals    BLOB    NOT NULL,
    PRIMARY KEY (site, dimension, day, key, bot)
) STRICT;

-- An hour is replaced by deleting its totals and inserting others: whoever does it takes back the day rows that tell of
-- the hour, in the same transaction. A day that was removed does not come back by removing its hours.
CREATE TRIGGER rollup_total_gone AFTER DELETE ON rollup_total BEGIN
    UPDATE rollup_day
    SET changes = changes + 1, hours = CASE WHEN OLD.hour < day + hours * 3600000000 THEN 0 ELSE hours END
    WHERE site = OLD.site AND day = OLD.hour - OLD.hour % 86400000000;
END;
CREATE TRIGGER rollup_total_counted AFTER INSERT ON rollup_total BEGIN
    INSERT INTO rollup_day (site, day)
    VALUES (NEW.site, NEW.hour - NEW.hour % 86400000000)
    ON CONFLICT (site, day) DO UPDATE
    SET changes = changes + 1, hours = CASE WHEN NEW.hour < day + hours * 3600000000 THEN 0 ELSE hours END;
END;

INSERT INTO rollup_day (site, day) SELECT DISTINCT site, hour - hour % 86400000000 FROM rollup_total;
