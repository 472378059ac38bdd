-- What browsers reported about the site's pages. Alike reports of one hour are one row and a count; `fingerprint` says
-- what is alike, the words are those of the latest. Times are integer microseconds since the epoch (UTC).
CREATE TABLE reports (
    site          TEXT    NOT NULL DEFAULT 'default',
    hour          INTEGER NOT NULL,
    fingerprint   BLOB    NOT NULL CHECK (length(fingerprint) = 16),
    report_type   TEXT    NOT NULL CHECK (length(report_type) <= 50),
    name          TEXT    NOT NULL CHECK (length(name) <= 100),
    document      TEXT    NOT NULL,
    blocked       TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    line_number   INTEGER,
    column_number INTEGER,
    disposition   TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    user_agent    TEXT,
    ip_address    TEXT    NOT NULL,
    count         INTEGER NOT NULL,
    first_seen    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    PRIMARY KEY (site, hour, fingerprint)
) STRICT;
