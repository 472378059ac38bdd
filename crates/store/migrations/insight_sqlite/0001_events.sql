-- What visitors did. Times are integer microseconds since the epoch (UTC), ids are BLOB(16), `bot` is 0 or 1.
-- Event tables keep their hidden rowid: rows lie in order of arrival, and the recorder tells new rows from repeats by it.
-- Keys that hold a page id begin with it (after the site): the browser script makes page ids that grow with time, so
-- that a commit touches the few pages at the end of each index instead of a random one per event.

CREATE TABLE user_sessions (
    session_id         BLOB    NOT NULL PRIMARY KEY CHECK (length(session_id) = 16),
    site               TEXT    NOT NULL DEFAULT 'default',
    visitor_id         BLOB    NOT NULL,
    started_at         INTEGER NOT NULL,
    last_activity      INTEGER NOT NULL,
    ip_address         TEXT    NOT NULL,
    user_agent         TEXT,
    referrer           TEXT,
    country_code       TEXT    CHECK (length(country_code) = 2),
    device_type        TEXT    NOT NULL,
    browser            TEXT    CHECK (length(browser) <= 50),
    os                 TEXT    CHECK (length(os) <= 50),
    page_views         INTEGER NOT NULL DEFAULT 0,
    custom_events      INTEGER NOT NULL DEFAULT 0,
    total_time_seconds INTEGER NOT NULL DEFAULT 0,
    conversion_events  TEXT    NOT NULL DEFAULT '[]',
    bot                INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX user_sessions_time ON user_sessions (site, started_at);

CREATE TABLE page_views (
    id            BLOB    NOT NULL CHECK (length(id) = 16),
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
    PRIMARY KEY (site, page_id, id)
) STRICT;
CREATE INDEX page_views_time ON page_views (site, recorded_at);

CREATE TABLE engagement (
    site           TEXT    NOT NULL DEFAULT 'default',
    page_id        TEXT    NOT NULL,
    recorded_at    INTEGER NOT NULL,
    session_id     BLOB,
    path           TEXT    NOT NULL,
    engaged_ms     INTEGER NOT NULL,
    scroll_percent INTEGER NOT NULL,
    bot            INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, page_id)
) STRICT;
CREATE INDEX engagement_time ON engagement (site, recorded_at);

-- One row per measurement, not per report: the key is what a later report of the same measurement replaces, so the
-- id (of the first report) is an ordinary column.
CREATE TABLE performance_metrics (
    id              BLOB    NOT NULL CHECK (length(id) = 16),
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
    PRIMARY KEY (site, page_id, metric_name, navigation)
) STRICT;
CREATE INDEX performance_metrics_time ON performance_metrics (site, timestamp, id);

CREATE TABLE error_events (
    id                 BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
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
    bot                INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX error_events_time ON error_events (site, timestamp);

CREATE TABLE custom_events (
    id               BLOB    NOT NULL CHECK (length(id) = 16),
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
    PRIMARY KEY (site, page_id, id)
) STRICT;
CREATE INDEX custom_events_time ON custom_events (site, recorded_at);
