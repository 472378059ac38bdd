-- Who may do what, and what happened to whom. Everything lives in the schema `mainstay` and is named in full, so that an
-- app's own tables in the same database are never touched and no search path matters. Text that is ordered or compared
-- has the collation "C": the order of bytes, as on SQLite.

CREATE TABLE mainstay.users (
    id            uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    email         text        NOT NULL,
    password_hash text        NOT NULL,
    roles         jsonb       NOT NULL DEFAULT '[]',
    permissions   jsonb       NOT NULL DEFAULT '[]',
    mfa_secret    text,
    active        boolean     NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON mainstay.users (lower(email));

CREATE TABLE mainstay.rate_limit_buckets (
    id                     uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    identifier             text        NOT NULL CHECK (length(identifier) <= 255),
    bucket_type            text        NOT NULL CHECK (bucket_type IN ('ip', 'api_key', 'user')),
    rule                   text        NOT NULL DEFAULT '',
    requests_count         bigint      NOT NULL DEFAULT 0,
    window_start           timestamptz NOT NULL DEFAULT now(),
    last_request           timestamptz NOT NULL DEFAULT now(),
    blocked_until          timestamptz,
    total_blocked_requests bigint      NOT NULL DEFAULT 0,
    UNIQUE (identifier, bucket_type, rule)
);
CREATE INDEX rate_limit_buckets_blocked ON mainstay.rate_limit_buckets (blocked_until)
    WHERE blocked_until IS NOT NULL;

CREATE TABLE mainstay.cache_entries (
    cache_key     text        NOT NULL PRIMARY KEY CHECK (length(cache_key) <= 255),
    content_hash  text        NOT NULL CHECK (length(content_hash) <= 64),
    data          bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    hit_count     bigint      NOT NULL DEFAULT 0,
    last_accessed timestamptz NOT NULL DEFAULT now(),
    tags          jsonb       NOT NULL DEFAULT '[]'
);
CREATE INDEX cache_entries_expiry ON mainstay.cache_entries (expires_at);

CREATE TABLE mainstay.security_events (
    id                  uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    site                text        COLLATE "C" NOT NULL DEFAULT 'default',
    event_type          text        NOT NULL CHECK (length(event_type) <= 100),
    severity            text        NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    source_ip           text,
    user_agent          text,
    description         text        NOT NULL,
    additional_data     jsonb,
    timestamp           timestamptz NOT NULL DEFAULT now(),
    investigated        boolean     NOT NULL DEFAULT false,
    investigation_notes text
);
CREATE INDEX security_events_time ON mainstay.security_events (site, timestamp);
CREATE INDEX security_events_retention ON mainstay.security_events (timestamp);

CREATE TABLE mainstay.scaling_events (
    id               uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    action           text        NOT NULL,
    target_instances bigint      NOT NULL,
    cpu_usage        double precision,
    memory_usage     double precision,
    request_rate     double precision,
    response_time    double precision,
    inputs           jsonb,
    reason           text,
    timestamp        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scaling_events_time ON mainstay.scaling_events (timestamp);

-- Single-use sign-in links of the console; only the hash of the secret is kept.
CREATE TABLE mainstay.console_link (
    token_hash bytea       NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE TABLE mainstay.console_session (
    token_hash bytea       NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    role       text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX console_session_expiry ON mainstay.console_session (expires_at);

-- The secret that makes a day's visitor ids; once its row is destroyed nobody can link an id to an address again.
CREATE TABLE mainstay.visitor_salt (
    day        bigint      NOT NULL PRIMARY KEY,
    salt       bytea       NOT NULL CHECK (length(salt) = 16),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What all processes that share this database must agree on: made by the first that needs it.
CREATE TABLE mainstay.shared_secret (
    name       text        NOT NULL PRIMARY KEY,
    secret     bytea       NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The processes that share this database; one that was not seen for a while is gone.
CREATE TABLE mainstay.nodes (
    id         uuid        NOT NULL PRIMARY KEY,
    version    text        NOT NULL,
    region     text,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now()
);
