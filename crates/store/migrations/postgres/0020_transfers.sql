-- Which installation's files were copied into this database. Rows of anybody else are never mixed with a copy.
CREATE TABLE mainstay.transfers (
    source    uuid        NOT NULL PRIMARY KEY,
    begun_at  timestamptz NOT NULL,
    proven_at timestamptz
);
