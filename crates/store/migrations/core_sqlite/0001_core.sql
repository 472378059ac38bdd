-- Who may do what, and what happened to whom. Times are integer microseconds since the epoch (UTC), ids are BLOB(16).

CREATE TABLE users (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email         TEXT    NOT NULL COLLATE NOCASE UNIQUE,
    password_hash TEXT    NOT NULL,
    roles         TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(roles)),
    permissions   TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(permissions)),
    mfa_secret    TEXT,
    active        INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE rate_limit_buckets (
    id                     BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    identifier             TEXT    NOT NULL CHECK (length(identifier) <= 255),
    bucket_type            TEXT    NOT NULL CHECK (bucket_type IN ('ip', 'api_key', 'user')),
    rule                   TEXT    NOT NULL DEFAULT '',
    requests_count         INTEGER NOT NULL DEFAULT 0,
    window_start           INTEGER NOT NULL,
    last_request           INTEGER NOT NULL,
    blocked_until          INTEGER,
    total_blocked_requests INTEGER NOT NULL DEFAULT 0,
    UNIQUE (identifier, bucket_type, rule)
) STRICT;
CREATE INDEX rate_limit_buckets_blocked ON rate_limit_buckets (blocked_until) WHERE blocked_until IS NOT NULL;

CREATE TABLE cache_entries (
    cache_key     TEXT    NOT NULL PRIMARY KEY CHECK (length(cache_key) <= 255),
    content_hash  TEXT    NOT NULL CHECK (length(content_hash) <= 64),
    data          BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    hit_count     INTEGER NOT NULL DEFAULT 0,
    last_accessed INTEGER NOT NULL,
    tags          TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags))
) STRICT;
CREATE INDEX cache_entries_expiry ON cache_entries (expires_at);

CREATE TABLE security_events (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    site                TEXT    NOT NULL DEFAULT 'default',
    event_type          TEXT    NOT NULL CHECK (length(event_type) <= 100),
    severity            TEXT    NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    source_ip           TEXT,
    user_agent          TEXT,
    description         TEXT    NOT NULL,
    additional_data     TEXT    CHECK (additional_data IS NULL OR json_valid(additional_data)),
    timestamp           INTEGER NOT NULL,
    investigated        INTEGER NOT NULL DEFAULT 0 CHECK (investigated IN (0, 1)),
    investigation_notes TEXT
) STRICT;
CREATE INDEX security_events_time ON security_events (site, timestamp);
CREATE INDEX security_events_retention ON security_events (timestamp);

CREATE TABLE scaling_events (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    action           TEXT    NOT NULL,
    target_instances INTEGER NOT NULL,
    cpu_usage        REAL,
    memory_usage     REAL,
    request_rate     REAL,
    response_time    REAL,
    inputs           TEXT    CHECK (inputs IS NULL OR json_valid(inputs)),
    reason           TEXT,
    timestamp        INTEGER NOT NULL
) STRICT;
CREATE INDEX scaling_events_time ON scaling_events (timestamp);

-- Single-use sign-in links of the console; only the hash of the secret is kept.
CREATE TABLE console_link (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE console_session (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX console_session_expiry ON console_session (expires_at);

-- The secret that makes a day's visitor ids; once its row is destroyed nobody can link an id to an address again.
CREATE TABLE visitor_salt (
    day        INTEGER NOT NULL PRIMARY KEY,
    salt       BLOB    NOT NULL CHECK (length(salt) = 16),
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT;
