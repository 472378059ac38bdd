-- An event is the same event when its id is: the id (as the browser sent it, text that grows with time) alone is the
-- key of its table, whichever page it names. Visits keep where they came from. Bots are found by themselves, so that
-- they can be kept for a shorter time; their indexes cost a person's row nothing.

ALTER TABLE user_sessions ADD COLUMN source TEXT;

CREATE TABLE page_views_by_id (
    id            TEXT    NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site          TEXT    NOT NULL DEFAULT 'default',
    recorded_at   INTEGER NOT NULL,
    page_id       TEXT    NOT NULL,
    session_id    BLOB,
    visitor_id    BLOB,
    path          TEXT    NOT NULL,
    referrer_host TEXT,
    referrer_path TEXT,
    source        TEXT,
    campaign      TEXT,
    device_type   TEXT    NOT NULL,
    browser       TEXT,
    os            TEXT,
    country_code  TEXT,
    width         INTEGER,
    release       TEXT,
    bot_reason    TEXT,
    PRIMARY KEY (site, id)
) STRICT;
INSERT OR IGNORE INTO page_views_by_id (id, site, recorded_at, page_id, session_id, visitor_id, path, referrer_host,
    referrer_path, source, campaign, device_type, browser, os, country_code, width, release, bot_reason)
SELECT lower(hex(id)), site, recorded_at, page_id, session_id, visitor_id, path, referrer_host, referrer_path, source,
    campaign, device_type, browser, os, country_code, width, release, bot_reason
FROM page_views ORDER BY rowid;
DROP TABLE page_views;
ALTER TABLE page_views_by_id RENAME TO page_views;
CREATE INDEX page_views_time ON page_views (site, recorded_at);
CREATE INDEX page_views_bots ON page_views (site, recorded_at) WHERE bot_reason IS NOT NULL;

CREATE TABLE engagement_by_id (
    id             TEXT    NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site           TEXT    NOT NULL DEFAULT 'default',
    page_id        TEXT    NOT NULL,
    recorded_at    INTEGER NOT NULL,
    session_id     BLOB,
    path           TEXT    NOT NULL,
    engaged_ms     INTEGER NOT NULL,
    scroll_percent INTEGER NOT NULL,
    bot            INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, page_id),
    UNIQUE (site, id)
) STRICT;
INSERT OR IGNORE INTO engagement_by_id (id, site, page_id, recorded_at, session_id, path, engaged_ms, scroll_percent, bot)
SELECT lower(hex(randomblob(16))), site, page_id, recorded_at, session_id, path, engaged_ms, scroll_percent, bot
FROM engagement ORDER BY rowid;
DROP TABLE engagement;
ALTER TABLE engagement_by_id RENAME TO engagement;
CREATE INDEX engagement_time ON engagement (site, recorded_at);
CREATE INDEX engagement_bots ON engagement (site, recorded_at) WHERE bot = 1;

CREATE TABLE performance_metrics_by_id (
    id              TEXT    NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site            TEXT    NOT NULL DEFAULT 'default',
    timestamp       INTEGER NOT NULL,
    page_id         TEXT    NOT NULL,
    session_id      BLOB,
    metric_type     TEXT    NOT NULL CHECK (length(metric_type) <= 50),
    metric_name     TEXT    NOT NULL CHECK (length(metric_name) <= 100),
    value           REAL    NOT NULL,
    page_ms         INTEGER NOT NULL,
    rating          TEXT    NOT NULL,
    navigation      TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    device_type     TEXT    NOT NULL,
    release         TEXT,
    additional_data TEXT,
    bot             INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, page_id, metric_name, navigation),
    UNIQUE (site, id)
) STRICT;
INSERT OR IGNORE INTO performance_metrics_by_id (id, site, timestamp, page_id, session_id, metric_type, metric_name, value,
    page_ms, rating, navigation, url, device_type, release, additional_data, bot)
SELECT lower(hex(id)), site, timestamp, page_id, session_id, metric_type, metric_name, value, page_ms, rating,
    navigation, url, device_type, release, additional_data, bot
FROM performance_metrics ORDER BY rowid;
DROP TABLE performance_metrics;
ALTER TABLE performance_metrics_by_id RENAME TO performance_metrics;
CREATE INDEX performance_metrics_time ON performance_metrics (site, timestamp, id);
CREATE INDEX performance_metrics_bots ON performance_metrics (site, timestamp) WHERE bot = 1;

CREATE TABLE error_events_by_id (
    id                 TEXT    NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site               TEXT    NOT NULL DEFAULT 'default',
    timestamp          INTEGER NOT NULL,
    fingerprint        TEXT    NOT NULL,
    page_id            TEXT    NOT NULL,
    session_id         BLOB,
    visitor_id         BLOB,
    error_type         TEXT    NOT NULL CHECK (length(error_type) <= 100),
    error_message      TEXT    NOT NULL,
    error_stack        TEXT,
    url                TEXT    NOT NULL,
    source             TEXT,
    line_number        INTEGER,
    column_number      INTEGER,
    user_agent         TEXT,
    release            TEXT,
    additional_context TEXT,
    resolved           INTEGER NOT NULL DEFAULT 0 CHECK (resolved IN (0, 1)),
    resolved_at        INTEGER,
    resolved_by        TEXT    CHECK (length(resolved_by) <= 100),
    bot                INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, id)
) STRICT;
INSERT OR IGNORE INTO error_events_by_id (id, site, timestamp, fingerprint, page_id, session_id, visitor_id, error_type,
    error_message, error_stack, url, source, line_number, column_number, user_agent, release, additional_context,
    resolved, resolved_at, resolved_by, bot)
SELECT lower(hex(id)), site, timestamp, fingerprint, page_id, session_id, visitor_id, error_type, error_message,
    error_stack, url, source, line_number, column_number, user_agent, release, additional_context, resolved,
    resolved_at, resolved_by, bot
FROM error_events ORDER BY rowid;
DROP TABLE error_events;
ALTER TABLE error_events_by_id RENAME TO error_events;
CREATE INDEX error_events_time ON error_events (site, timestamp);
CREATE INDEX error_events_bots ON error_events (site, timestamp) WHERE bot = 1;

CREATE TABLE custom_events_by_id (
    id               TEXT    NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site             TEXT    NOT NULL DEFAULT 'default',
    recorded_at      INTEGER NOT NULL,
    page_id          TEXT    NOT NULL,
    session_id       BLOB,
    visitor_id       BLOB,
    name             TEXT    NOT NULL CHECK (length(name) <= 100),
    path             TEXT    NOT NULL,
    props            TEXT,
    revenue_amount   REAL,
    revenue_currency TEXT    CHECK (length(revenue_currency) = 3),
    bot              INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, id)
) STRICT;
INSERT OR IGNORE INTO custom_events_by_id (id, site, recorded_at, page_id, session_id, visitor_id, name, path, props,
    revenue_amount, revenue_currency, bot)
SELECT lower(hex(id)), site, recorded_at, page_id, session_id, visitor_id, name, path, props, revenue_amount,
    revenue_currency, bot
FROM custom_events ORDER BY rowid;
DROP TABLE custom_events;
ALTER TABLE custom_events_by_id RENAME TO custom_events;
CREATE INDEX custom_events_time ON custom_events (site, recorded_at);
CREATE INDEX custom_events_bots ON custom_events (site, recorded_at) WHERE bot = 1;

-- The triggers went with their tables.
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
