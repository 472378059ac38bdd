-- Keys that programs call us with. The id is the middle of the key's text (`ms_ID_…`), so that whoever finds a key knows
-- which one it is; of the text itself only the hash is kept.
CREATE TABLE mainstay.api_key (
    id          text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 8 AND 32),
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    token_hash  bytea       NOT NULL CHECK (length(token_hash) = 32),
    scopes      text        NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    last_used   timestamptz,
    revoked_at  timestamptz
);
