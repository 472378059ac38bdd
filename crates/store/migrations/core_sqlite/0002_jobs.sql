-- Work that can wait. A job's number is its place in the line and its id; it is never given twice, so that a late
-- acknowledgement cannot meet another job. Times are integer microseconds since the epoch (UTC).

CREATE TABLE job_queue (
    id         INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    paused     INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

-- begun: whoever has it may have begun; of one that is only claimed ahead a lost worker says nothing.
-- status: 0 waiting, 1 delayed, 2 active, 3 completed, 4 failed, 5 dead. `finished_at` is there in the last three only.
-- What is mostly NULL stands last: it costs a row hardly anything.
CREATE TABLE job (
    seq             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    queue           INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    priority        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    payload         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    run_at          INTEGER NOT NULL,
    attempts_max    INTEGER NOT NULL,
    attempts_made   INTEGER NOT NULL DEFAULT 0,
    backoff         INTEGER NOT NULL DEFAULT 0,
    backoff_ms      INTEGER NOT NULL DEFAULT 0,
    timeout_ms      INTEGER NOT NULL DEFAULT 0,
    token           INTEGER NOT NULL DEFAULT 0,
    stalled         INTEGER NOT NULL DEFAULT 0,
    cancelled       INTEGER NOT NULL DEFAULT 0,
    begun           INTEGER NOT NULL DEFAULT 0,
    custom_id       TEXT,
    unique_key      TEXT,
    idempotency_key TEXT,
    trace           TEXT,
    written         TEXT,
    lease_until     INTEGER,
    started_at      INTEGER,
    finished_at     INTEGER,
    worker          TEXT,
    progress        TEXT,
    result          TEXT,
    error           TEXT
) STRICT;
CREATE INDEX job_waiting ON job (queue, priority, seq) WHERE status = 0;
CREATE INDEX job_delayed ON job (queue, run_at) WHERE status = 1;
CREATE INDEX job_active ON job (queue, seq) WHERE status = 2;
CREATE INDEX job_finished ON job (queue, status, finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX job_custom_id ON job (queue, custom_id) WHERE custom_id IS NOT NULL;
CREATE UNIQUE INDEX job_unique_key ON job (queue, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL;

-- Who adds with the same idempotency key gets the same job, and its result also once the job is gone.
CREATE TABLE job_key (
    queue      INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    result     TEXT,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_key_expiry ON job_key (expires_at);
