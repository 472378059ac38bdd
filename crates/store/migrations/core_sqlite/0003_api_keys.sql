-- Keys that programs call us with. The id is the middle of the key's text (`ms_ID_…`), so that whoever finds a key knows
-- which one it is; of the text itself only the hash is kept.
CREATE TABLE api_key (
    id          TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 8 AND 32),
    name        TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    token_hash  BLOB    NOT NULL CHECK (length(token_hash) = 32),
    scopes      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    last_used   INTEGER,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;
