-- Schema 2: sessions with a row each, budgets of sign-ins, whose a task is, and the ledger's own name.

-- Tokens are only for a user who is there; they go when it goes.
CREATE TABLE sessions (
    id           BLOB PRIMARY KEY,
    user         BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What all refresh tokens of it have in common, hashed; none until one from before this schema was used.
    family       BLOB UNIQUE,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    -- When its live token expires.
    expires_at   INTEGER NOT NULL,
    address      TEXT,
    agent        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_age ON sessions (expires_at);

-- One row for each session, its live token, and what an earlier version has left behind.
CREATE TABLE live_tokens (
    hash       BLOB PRIMARY KEY,
    session    BLOB NOT NULL,
    user       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    spent      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO live_tokens SELECT t.* FROM refresh_tokens t JOIN users u ON u.id = t.user;
DROP TABLE refresh_tokens;
ALTER TABLE live_tokens RENAME TO refresh_tokens;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

-- Where a user has signed in from: others can't use up the budget of sign-ins from there.
CREATE TABLE known_networks (
    user         BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network      TEXT NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (user, network)
) STRICT, WITHOUT ROWID;

-- Failed sign-ins since a window began, by a hash of whom and where they are counted for.
CREATE TABLE sign_in_budgets (
    key   BLOB PRIMARY KEY,
    since INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_budgets_age ON sign_in_budgets (since);

-- deleted_users has the ids of sessions that ended as well: ids whose access tokens are refused.
CREATE INDEX deleted_users_age ON deleted_users (deleted_at);

-- Tasks that a person ordered under the name of a run: they are not the run's, whatever becomes of the person. Decided
-- when they are accepted; of what was accepted before, whatever may be a person's is.
CREATE TABLE personal_tasks (
    task INTEGER PRIMARY KEY
) STRICT;
INSERT INTO personal_tasks
SELECT t.seq FROM tasks t LEFT JOIN users u ON u.id = t.owner
WHERE t.run IS NOT NULL AND t.owner IS NOT NULL AND u.run IS NULL;

CREATE TABLE ledger (
    id BLOB NOT NULL
) STRICT;
INSERT INTO ledger VALUES (randomblob(16));
