-- How the server itself is doing.

CREATE TABLE metrics_timeseries (
    id           BLOB    NOT NULL PRIMARY KEY DEFAULT (randomblob(16)),
    metric_name  TEXT    NOT NULL CHECK (length(metric_name) <= 100),
    metric_value REAL    NOT NULL,
    tags         TEXT    CHECK (tags IS NULL OR json_valid(tags)),
    recorded_at  INTEGER NOT NULL,
    source_ip    TEXT,
    user_agent   TEXT,
    session_id   BLOB,
    step_s       INTEGER NOT NULL
) STRICT;
CREATE INDEX metrics_timeseries_name ON metrics_timeseries (metric_name, recorded_at DESC);
CREATE INDEX metrics_timeseries_time ON metrics_timeseries (recorded_at, step_s);
CREATE VIEW axiom_metrics_timeseries AS
    SELECT id, metric_name, metric_value, tags, recorded_at, source_ip, user_agent, session_id
    FROM metrics_timeseries;

CREATE TABLE traffic_samples (
    site           TEXT    NOT NULL DEFAULT 'default',
    step_s         INTEGER NOT NULL,
    t              INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    refused        INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    latency_sketch BLOB    NOT NULL,
    PRIMARY KEY (site, step_s, t)
) STRICT;
CREATE INDEX traffic_samples_time ON traffic_samples (t);

-- One row, rewritten to find out whether a full or failing disk takes writes again.
CREATE TABLE recorder_probe (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
