-- Hours already counted. `hour` is the first instant of the hour.

-- Every hour before `hour` has been given to the reconciler; a change to one of those must mark it dirty.
CREATE TABLE mainstay.rollup_watermark (
    site text        COLLATE "C" NOT NULL PRIMARY KEY,
    hour timestamptz NOT NULL
);

-- Hours to be counted (again). `marks` grows with every change, so that a change made while an hour is being counted
-- is not forgotten when the count is finished.
CREATE TABLE mainstay.rollup_dirty (
    site  text        COLLATE "C" NOT NULL,
    hour  timestamptz NOT NULL,
    marks bigint      NOT NULL DEFAULT 1,
    PRIMARY KEY (site, hour)
);

CREATE TABLE mainstay.rollup_total (
    site       text        COLLATE "C" NOT NULL,
    hour       timestamptz NOT NULL,
    bot        boolean     NOT NULL,
    pageviews  bigint      NOT NULL,
    visitors   bigint      NOT NULL,
    sessions   bigint      NOT NULL,
    bounces    bigint      NOT NULL,
    engaged_ms bigint      NOT NULL,
    PRIMARY KEY (site, hour, bot)
);

-- `key` is '' where the event had none (a direct visit).
CREATE TABLE mainstay.rollup_key (
    site      text        COLLATE "C" NOT NULL,
    dimension text        NOT NULL,
    hour      timestamptz NOT NULL,
    key       text        COLLATE "C" NOT NULL,
    bot       boolean     NOT NULL,
    pageviews bigint      NOT NULL,
    visitors  bigint      NOT NULL,
    PRIMARY KEY (site, dimension, hour, key, bot)
);
CREATE INDEX rollup_key_hour ON mainstay.rollup_key USING brin (hour);

CREATE TABLE mainstay.rollup_vital (
    site              text        COLLATE "C" NOT NULL,
    dimension         text        NOT NULL,
    hour              timestamptz NOT NULL,
    key               text        COLLATE "C" NOT NULL,
    name              text        COLLATE "C" NOT NULL,
    bot               boolean     NOT NULL,
    sketch            bytea       NOT NULL,
    good              bigint      NOT NULL,
    needs_improvement bigint      NOT NULL,
    poor              bigint      NOT NULL,
    PRIMARY KEY (site, dimension, hour, key, name, bot)
);
CREATE INDEX rollup_vital_hour ON mainstay.rollup_vital USING brin (hour);

-- A row that changes after its hour was counted marks that hour in the same transaction, whoever changes it.
CREATE FUNCTION mainstay.mark_hour(changed_site text, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mainstay.rollup_dirty (site, hour)
    SELECT site, date_trunc('hour', at, 'UTC') FROM mainstay.rollup_watermark
    WHERE site = changed_site AND hour > at
    ON CONFLICT (site, hour) DO UPDATE SET marks = rollup_dirty.marks + 1;
$$;

CREATE FUNCTION mainstay.performance_metrics_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mainstay.mark_hour(OLD.site, OLD.timestamp);
    RETURN NULL;
END $$;
CREATE TRIGGER performance_metrics_dirty AFTER UPDATE OF value, rating ON mainstay.performance_metrics
    FOR EACH ROW WHEN (NEW.value IS DISTINCT FROM OLD.value)
    EXECUTE FUNCTION mainstay.performance_metrics_changed();

CREATE FUNCTION mainstay.engagement_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mainstay.mark_hour(OLD.site, OLD.recorded_at);
    RETURN NULL;
END $$;
CREATE TRIGGER engagement_dirty AFTER UPDATE OF engaged_ms ON mainstay.engagement
    FOR EACH ROW WHEN (NEW.engaged_ms <> OLD.engaged_ms)
    EXECUTE FUNCTION mainstay.engagement_changed();

CREATE FUNCTION mainstay.user_sessions_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mainstay.mark_hour(OLD.site, OLD.started_at);
    RETURN NULL;
END $$;
CREATE TRIGGER user_sessions_dirty AFTER UPDATE OF page_views, custom_events ON mainstay.user_sessions
    FOR EACH ROW
    WHEN ((NEW.page_views <= 1 AND NEW.custom_events = 0) <> (OLD.page_views <= 1 AND OLD.custom_events = 0))
    EXECUTE FUNCTION mainstay.user_sessions_changed();
