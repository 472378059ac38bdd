-- How the servers themselves are doing. `node` tells the processes apart.

SELECT mainstay.create_time_series('metrics_timeseries', $$
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    metric_name  text        COLLATE "C" NOT NULL CHECK (length(metric_name) <= 100),
    metric_value double precision NOT NULL,
    tags         jsonb,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    source_ip    text,
    user_agent   text,
    session_id   uuid,
    step_s       bigint      NOT NULL,
    PRIMARY KEY (id, recorded_at)
$$, 'recorded_at');
CREATE INDEX metrics_timeseries_name ON mainstay.metrics_timeseries (metric_name, recorded_at DESC);
CREATE INDEX metrics_timeseries_tags ON mainstay.metrics_timeseries USING gin (tags);
CREATE INDEX metrics_timeseries_step ON mainstay.metrics_timeseries (step_s, recorded_at);
CREATE VIEW mainstay.axiom_metrics_timeseries AS
    SELECT id, metric_name, metric_value, tags, recorded_at, source_ip, user_agent, session_id
    FROM mainstay.metrics_timeseries;

CREATE TABLE mainstay.traffic_samples (
    site            text        COLLATE "C" NOT NULL DEFAULT 'default',
    step_s          bigint      NOT NULL,
    t               timestamptz NOT NULL,
    node            text        COLLATE "C" NOT NULL DEFAULT '',
    requests        bigint      NOT NULL,
    errors          bigint      NOT NULL,
    refused         bigint      NOT NULL,
    bytes           bigint      NOT NULL,
    latency_sketch  bytea       NOT NULL,
    upstream_sketch bytea,
    ours_sketch     bytea,
    PRIMARY KEY (site, step_s, t, node)
);
CREATE INDEX traffic_samples_time ON mainstay.traffic_samples (t);
