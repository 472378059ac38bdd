-- Several processes may share a database, each with steps of its own. On this engine there is one, whose name is empty.

CREATE TABLE traffic_samples_by_node (
    site            TEXT    NOT NULL DEFAULT 'default',
    step_s          INTEGER NOT NULL,
    t               INTEGER NOT NULL,
    node            TEXT    NOT NULL DEFAULT '',
    requests        INTEGER NOT NULL,
    errors          INTEGER NOT NULL,
    refused         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    latency_sketch  BLOB    NOT NULL,
    upstream_sketch BLOB,
    ours_sketch     BLOB,
    PRIMARY KEY (site, step_s, t, node)
) STRICT;
INSERT INTO traffic_samples_by_node (site, step_s, t, requests, errors, refused, bytes, latency_sketch,
    upstream_sketch, ours_sketch)
SELECT site, step_s, t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch
FROM traffic_samples ORDER BY rowid;
DROP TABLE traffic_samples;
ALTER TABLE traffic_samples_by_node RENAME TO traffic_samples;
CREATE INDEX traffic_samples_time ON traffic_samples (t);
