-- Sessions with a row each, budgets of sign-ins, and whose a task is. A server of the version before works on with it.

-- Tokens are only for a user who is there; they go when it goes.
CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What all refresh tokens of it have in common, hashed; none until one from before this schema was used.
    family       bytea UNIQUE,
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    -- When its live token expires.
    expires_at   bigint NOT NULL,
    address      text,
    agent        text
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_age ON sessions (expires_at);

-- refresh_tokens has one row for each session now, its live token, and what servers of the version before write.
DELETE FROM refresh_tokens t WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = t.user_id);
ALTER TABLE refresh_tokens
    ADD CONSTRAINT refresh_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

-- A session's id tells when it was made, in its first 48 bits.
INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at)
SELECT t.session, t.user_id, made.at, made.at, t.expires_at
FROM refresh_tokens t,
     LATERAL (SELECT ('x' || left(replace(t.session::text, '-', ''), 12))::bit(48)::bigint * 1000 AS at) made
WHERE NOT t.spent
ON CONFLICT DO NOTHING;

-- Where a user has signed in from: others can't use up the budget of sign-ins from there.
CREATE TABLE known_networks (
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network      text COLLATE "C" NOT NULL,
    last_used_at bigint NOT NULL,
    PRIMARY KEY (user_id, network)
);

-- Failed sign-ins since a window began, by a hash of whom and where they are counted for.
CREATE TABLE sign_in_budgets (
    key   bytea PRIMARY KEY,
    since bigint NOT NULL,
    count integer NOT NULL
);
CREATE INDEX sign_in_budgets_age ON sign_in_budgets (since);

-- A process reads what was revoked since the transactions that its last look may have missed: by transaction, since a
-- time says nothing of when a commit is seen.
ALTER TABLE deleted_users ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX deleted_users_xid ON deleted_users (xid);
COMMENT ON TABLE deleted_users IS 'Users who left and sessions that ended: ids whose access tokens are refused';

-- Tasks that a person ordered under the name of a run: they are not the run's, whatever becomes of the person.
CREATE TABLE personal_tasks (
    task        uuid PRIMARY KEY,
    accepted_at bigint NOT NULL
);
CREATE INDEX personal_tasks_age ON personal_tasks (accepted_at);

-- Decided when they are accepted, in the same transaction, for a whole batch at once.
CREATE FUNCTION note_personal_tasks() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO personal_tasks (task, accepted_at)
    SELECT n.id, n.accepted_at FROM accepted n JOIN users u ON u.id = n.owner
    WHERE n.run IS NOT NULL AND n.owner IS NOT NULL AND u.run IS NULL
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER tasks_personal AFTER INSERT ON tasks REFERENCING NEW TABLE AS accepted
    FOR EACH STATEMENT EXECUTE FUNCTION note_personal_tasks();

-- Of what was accepted before, whatever may be a person's is.
INSERT INTO personal_tasks (task, accepted_at)
SELECT e.task, e.accepted_at FROM events e LEFT JOIN users u ON u.id = e.owner
WHERE e.run IS NOT NULL AND e.owner IS NOT NULL AND e.seq = e.accepted_seq AND u.run IS NULL
ON CONFLICT DO NOTHING;
INSERT INTO personal_tasks (task, accepted_at)
SELECT t.id, t.accepted_at FROM tasks t LEFT JOIN users u ON u.id = t.owner
WHERE t.run IS NOT NULL AND t.owner IS NOT NULL AND u.run IS NULL
ON CONFLICT DO NOTHING;
