-- What visitors did. Rows of events lie in one piece per day: hypertables where the setting `mainstay.time_series` says
-- timescale, else native partitions, with a default partition that takes what no day was made for.
--
-- The key of such a table must hold its time, so it cannot say that an event is the same event when its id is:
-- `event_keys` does, for as long as an event may be sent again.

CREATE FUNCTION mainstay.create_time_series(name text, columns text, at text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('mainstay.time_series', true) = 'timescale' THEN
        EXECUTE format('CREATE TABLE mainstay.%I (%s)', name, columns);
        PERFORM create_hypertable(format('mainstay.%I', name)::regclass, at::name,
            chunk_time_interval => INTERVAL '1 day', create_default_indexes => false);
    ELSE
        EXECUTE format('CREATE TABLE mainstay.%I (%s) PARTITION BY RANGE (%I)', name, columns, at);
        EXECUTE format('CREATE TABLE mainstay.%I PARTITION OF mainstay.%I DEFAULT', name || '_default', name);
    END IF;
END $$;

-- A digest of the event's site and id, or of what a later report of the same measurement replaces; `at` is the time of
-- the first.
CREATE TABLE mainstay.event_keys (
    key uuid        NOT NULL PRIMARY KEY,
    at  timestamptz NOT NULL
);
CREATE INDEX event_keys_at ON mainstay.event_keys USING brin (at);

CREATE TABLE mainstay.user_sessions (
    session_id         uuid        NOT NULL PRIMARY KEY,
    site               text        COLLATE "C" NOT NULL DEFAULT 'default',
    visitor_id         uuid        NOT NULL,
    started_at         timestamptz NOT NULL,
    last_activity      timestamptz NOT NULL,
    ip_address         text        NOT NULL,
    user_agent         text,
    referrer           text,
    source             text,
    country_code       text        CHECK (length(country_code) = 2),
    device_type        text        NOT NULL,
    browser            text        CHECK (length(browser) <= 50),
    os                 text        CHECK (length(os) <= 50),
    page_views         bigint      NOT NULL DEFAULT 0,
    custom_events      bigint      NOT NULL DEFAULT 0,
    total_time_seconds bigint      NOT NULL DEFAULT 0,
    conversion_events  jsonb       NOT NULL DEFAULT '[]',
    bot                boolean     NOT NULL DEFAULT false
);
CREATE INDEX user_sessions_time ON mainstay.user_sessions (site, started_at);
CREATE INDEX user_sessions_visitor ON mainstay.user_sessions (visitor_id, last_activity);
CREATE INDEX user_sessions_active ON mainstay.user_sessions (last_activity);
CREATE INDEX user_sessions_started ON mainstay.user_sessions USING brin (started_at);

SELECT mainstay.create_time_series('page_views', $$
    id            text        COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site          text        COLLATE "C" NOT NULL DEFAULT 'default',
    recorded_at   timestamptz NOT NULL,
    page_id       text        NOT NULL,
    session_id    uuid,
    visitor_id    uuid,
    path          text        COLLATE "C" NOT NULL,
    referrer_host text,
    referrer_path text,
    source        text        COLLATE "C",
    campaign      jsonb,
    device_type   text        COLLATE "C" NOT NULL,
    browser       text,
    os            text,
    country_code  text        COLLATE "C",
    width         integer,
    release       text,
    bot_reason    text,
    PRIMARY KEY (site, recorded_at, id)
$$, 'recorded_at');
CREATE INDEX page_views_bots ON mainstay.page_views (recorded_at) WHERE bot_reason IS NOT NULL;

SELECT mainstay.create_time_series('engagement', $$
    id             text        COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site           text        COLLATE "C" NOT NULL DEFAULT 'default',
    page_id        text        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    session_id     uuid,
    path           text        NOT NULL,
    engaged_ms     bigint      NOT NULL,
    scroll_percent integer     NOT NULL,
    bot            boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (site, recorded_at, id)
$$, 'recorded_at');
CREATE INDEX engagement_bots ON mainstay.engagement (recorded_at) WHERE bot;

SELECT mainstay.create_time_series('performance_metrics', $$
    id              text        COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site            text        COLLATE "C" NOT NULL DEFAULT 'default',
    timestamp       timestamptz NOT NULL,
    page_id         text        NOT NULL,
    session_id      uuid,
    metric_type     text        NOT NULL CHECK (length(metric_type) <= 50),
    metric_name     text        NOT NULL CHECK (length(metric_name) <= 100),
    value           double precision NOT NULL,
    page_ms         bigint      NOT NULL,
    rating          text        NOT NULL,
    navigation      text        NOT NULL,
    url             text        NOT NULL,
    device_type     text        NOT NULL,
    release         text,
    additional_data jsonb,
    bot             boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (site, timestamp, id)
$$, 'timestamp');
CREATE INDEX performance_metrics_bots ON mainstay.performance_metrics (timestamp) WHERE bot;

SELECT mainstay.create_time_series('error_events', $$
    id                 text        COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site               text        COLLATE "C" NOT NULL DEFAULT 'default',
    timestamp          timestamptz NOT NULL,
    fingerprint        text        COLLATE "C" NOT NULL,
    page_id            text        NOT NULL,
    session_id         uuid,
    visitor_id         uuid,
    error_type         text        NOT NULL CHECK (length(error_type) <= 100),
    error_message      text        NOT NULL,
    error_stack        text,
    url                text        NOT NULL,
    source             text,
    line_number        integer,
    column_number      integer,
    user_agent         text,
    release            text,
    additional_context jsonb,
    resolved           boolean     NOT NULL DEFAULT false,
    resolved_at        timestamptz,
    resolved_by        text        CHECK (length(resolved_by) <= 100),
    bot                boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (site, timestamp, id)
$$, 'timestamp');
CREATE INDEX error_events_bots ON mainstay.error_events (timestamp) WHERE bot;

SELECT mainstay.create_time_series('custom_events', $$
    id               text        COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 16 AND 32),
    site             text        COLLATE "C" NOT NULL DEFAULT 'default',
    recorded_at      timestamptz NOT NULL,
    page_id          text        NOT NULL,
    session_id       uuid,
    visitor_id       uuid,
    name             text        COLLATE "C" NOT NULL CHECK (length(name) <= 100),
    path             text        NOT NULL,
    props            jsonb,
    revenue_amount   double precision,
    revenue_currency text        CHECK (length(revenue_currency) = 3),
    bot              boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (site, recorded_at, id)
$$, 'recorded_at');
CREATE INDEX custom_events_bots ON mainstay.custom_events (recorded_at) WHERE bot;

-- What browsers reported about the site's pages. Alike reports of one hour are one row and a count.
CREATE TABLE mainstay.reports (
    site          text        COLLATE "C" NOT NULL DEFAULT 'default',
    hour          timestamptz NOT NULL,
    fingerprint   uuid        NOT NULL,
    report_type   text        NOT NULL CHECK (length(report_type) <= 50),
    name          text        NOT NULL CHECK (length(name) <= 100),
    document      text        NOT NULL,
    blocked       text        NOT NULL,
    source        text        NOT NULL,
    line_number   integer,
    column_number integer,
    disposition   text        NOT NULL,
    message       text        NOT NULL,
    user_agent    text,
    ip_address    text        NOT NULL,
    count         bigint      NOT NULL,
    first_seen    timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    PRIMARY KEY (site, hour, fingerprint)
);
CREATE INDEX reports_hour ON mainstay.reports USING brin (hour);
