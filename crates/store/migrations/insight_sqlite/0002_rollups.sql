-- Hours already counted. `hour` is the first microsecond of the hour.

-- Every hour before `hour` has been given to the reconciler; a change to one of those must mark it dirty.
CREATE TABLE rollup_watermark (
    site TEXT    NOT NULL PRIMARY KEY,
    hour INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Hours to be counted (again). `marks` grows with every change, so that a change made while an hour is being counted
-- is not forgotten when the count is finished.
CREATE TABLE rollup_dirty (
    site  TEXT    NOT NULL,
    hour  INTEGER NOT NULL,
    marks INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (site, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_total (
    site       TEXT    NOT NULL,
    hour       INTEGER NOT NULL,
    bot        INTEGER NOT NULL,
    pageviews  INTEGER NOT NULL,
    visitors   INTEGER NOT NULL,
    sessions   INTEGER NOT NULL,
    bounces    INTEGER NOT NULL,
    engaged_ms INTEGER NOT NULL,
    PRIMARY KEY (site, hour, bot)
) STRICT;

-- `key` is '' where the event had none (a direct visit).
CREATE TABLE rollup_key (
    site      TEXT    NOT NULL,
    dimension TEXT    NOT NULL,
    hour      INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    bot       INTEGER NOT NULL,
    pageviews INTEGER NOT NULL,
    visitors  INTEGER NOT NULL,
    PRIMARY KEY (site, dimension, hour, key, bot)
) STRICT;

CREATE TABLE rollup_vital (
    site              TEXT    NOT NULL,
    dimension         TEXT    NOT NULL,
    hour              INTEGER NOT NULL,
    key               TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    bot               INTEGER NOT NULL,
    sketch            BLOB    NOT NULL,
    good              INTEGER NOT NULL,
    needs_improvement INTEGER NOT NULL,
    poor              INTEGER NOT NULL,
    PRIMARY KEY (site, dimension, hour, key, name, bot)
) STRICT;

-- A row that changes after its hour was counted marks that hour in the same transaction, whoever changes it.
CREATE TRIGGER performance_metrics_dirty AFTER UPDATE OF value, rating ON performance_metrics
WHEN NEW.value IS NOT OLD.value BEGIN
    INSERT INTO rollup_dirty (site, hour)
    SELECT OLD.site, OLD.timestamp - OLD.timestamp % 3600000000
    FROM rollup_watermark WHERE site = OLD.site AND hour > OLD.timestamp
    ON CONFLICT DO UPDATE SET marks = marks + 1;
END;
CREATE TRIGGER engagement_dirty AFTER UPDATE OF engaged_ms ON engagement
WHEN NEW.engaged_ms <> OLD.engaged_ms BEGIN
    INSERT INTO rollup_dirty (site, hour)
    SELECT OLD.site, OLD.recorded_at - OLD.recorded_at % 3600000000
    FROM rollup_watermark WHERE site = OLD.site AND hour > OLD.recorded_at
    ON CONFLICT DO UPDATE SET marks = marks + 1;
END;
CREATE TRIGGER user_sessions_dirty AFTER UPDATE OF page_views, custom_events ON user_sessions
WHEN (NEW.page_views <= 1 AND NEW.custom_events = 0) <> (OLD.page_views <= 1 AND OLD.custom_events = 0) BEGIN
    INSERT INTO rollup_dirty (site, hour)
    SELECT OLD.site, OLD.started_at - OLD.started_at % 3600000000
    FROM rollup_watermark WHERE site = OLD.site AND hour > OLD.started_at
    ON CONFLICT DO UPDATE SET marks = marks + 1;
END;
