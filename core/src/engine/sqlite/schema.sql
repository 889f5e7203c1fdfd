-- Schema 1 of the embedded ledger. Times are microseconds since 1970, ids the 16 bytes of a UUID version 7.
--
-- A task's row is also its first event ("queued"): its seq is the event's place in the log. Later events have rows
-- of their own. What changes with each attempt (times, result, error) stands in the latest event, so that a task's row
-- is written in place and does not grow.

CREATE TABLE tasks (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL,
    kind            INTEGER NOT NULL,
    owner           BLOB,
    run             TEXT,
    payload         TEXT NOT NULL,
    exclusive       TEXT,
    idempotency_key TEXT,
    fingerprint     BLOB,
    accepted_at     INTEGER NOT NULL,
    -- 2 queued, 3 retrying | 4 succeeded, 5 declined, 6 dead, 7 dead and discarded. Below 4 is open. All take one
    -- byte, so that no change of status moves a row.
    status          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    last_seq        INTEGER NOT NULL,
    discard_reason  TEXT
) STRICT;

CREATE UNIQUE INDEX tasks_id ON tasks (id);
CREATE INDEX tasks_open ON tasks (kind, due_at) WHERE status < 4;
CREATE UNIQUE INDEX tasks_exclusive ON tasks (exclusive) WHERE exclusive IS NOT NULL AND status < 4;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (coalesce(owner, x''), idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX tasks_run ON tasks (run) WHERE run IS NOT NULL;
CREATE INDEX tasks_owner ON tasks (owner) WHERE owner IS NOT NULL;
CREATE INDEX tasks_dead ON tasks (seq) WHERE status = 6;

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY,
    task          INTEGER NOT NULL,
    run           TEXT,
    status        INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    started_at    INTEGER,
    result        TEXT,
    error_code    TEXT,
    error_message TEXT
) STRICT;

CREATE INDEX events_task ON events (task);
CREATE INDEX events_run ON events (run) WHERE run IS NOT NULL;

CREATE TABLE cards (
    id        BLOB PRIMARY KEY,
    owner     BLOB NOT NULL,
    -- One task, one card: the ledger itself refuses a second.
    task      INTEGER NOT NULL UNIQUE,
    card_ref  TEXT NOT NULL,
    last4     TEXT NOT NULL,
    network   INTEGER NOT NULL,
    active    INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    replaces  BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX cards_owner ON cards (owner);
CREATE UNIQUE INDEX cards_active ON cards (owner) WHERE active = 1;

CREATE TABLE users (
    id            BLOB PRIMARY KEY,
    username      TEXT NOT NULL COLLATE NOCASE UNIQUE,
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    -- The run that a generated user was made for; none for people.
    run           TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX users_run ON users (run) WHERE run IS NOT NULL;

-- Ids whose access tokens may still be about.
CREATE TABLE deleted_users (
    id         BLOB PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE refresh_tokens (
    hash       BLOB PRIMARY KEY,
    session    BLOB NOT NULL,
    user       BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    spent      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_session ON refresh_tokens (session);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user);

-- What would take a scan to count, kept in the same transactions as what it counts.
CREATE TABLE books (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    next_seq     INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    settled      INTEGER NOT NULL,
    -- Events up to here may be gone.
    events_floor INTEGER NOT NULL,
    paused       INTEGER NOT NULL
) STRICT;

INSERT INTO books VALUES (1, 1, 0, 0, 0, 0);

CREATE TABLE counts (
    kind   INTEGER NOT NULL,
    status INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (kind, status)
) STRICT, WITHOUT ROWID;
