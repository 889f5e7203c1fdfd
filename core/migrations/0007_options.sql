-- Schema 7: tasks for a later time, tasks that come before or after others, and tasks that are called off. What the version
-- before calls keeps its signature and its meaning until a later schema (docs/decisions/0031).

-- 1 high, 2 low; none for what is normal, as most is.
ALTER TABLE tasks ADD COLUMN priority smallint;
-- Not to be begun before, as it was asked for; `due_at` moves with each attempt.
ALTER TABLE tasks ADD COLUMN not_before bigint;

-- The same of every task that the log has, for the few of which something was asked: columns are not added to `events`, which
-- running processes read whole.
CREATE TABLE task_options (
    task        uuid PRIMARY KEY,
    not_before  bigint,
    priority    smallint,
    accepted_at bigint NOT NULL
);
CREATE INDEX task_options_age ON task_options (accepted_at);

-- The sweep's way through what is open, the oldest first: what waits for its first attempt by its place, each priority by
-- itself; what waits for a time by that time. A million tasks for next year hide nothing, and an accept
-- writes one index less: of those that wait the first place is the oldest.
CREATE INDEX tasks_waiting ON tasks (kind, seq) WHERE status < 4 AND NOT postponed AND priority IS NULL;
CREATE INDEX tasks_preferred ON tasks (kind, priority, seq) WHERE status < 4 AND NOT postponed AND priority IS NOT NULL;
DROP INDEX tasks_open;
DROP INDEX tasks_due;
-- Many can be due at the very same time.
-- (The counts of what is put off are read from it alone.)
CREATE INDEX tasks_later ON tasks (due_at, seq) INCLUDE (kind, not_before) WHERE status < 4 AND postponed;
DROP INDEX tasks_postponed;

-- Statuses from here on: 8 cancelled, in `events` alone.

-- Accepts a batch. The row with ord 0 tells the time of the batch and the place before its first task: task n has place
-- seq + n. The other rows are the tasks that were not accepted as new, and why: 1 replay, 2 idempotency mismatch,
-- 3 exclusive (`task` is the open one), 4 accepted by an earlier try of this very call, whose answer was lost, 5 the
-- same, and it is past waiting for its first attempt. `again`: there may have been an earlier try for some of them.
-- `not_befores` and `priorities`: NULL if none has any, or one for each.
CREATE FUNCTION accept_tasks(
    ids uuid[], kinds smallint[], owners uuid[], runs text[], payloads text[], exclusives text[],
    keys text[], fingerprints bytea[], not_befores bigint[], priorities smallint[], again boolean
) RETURNS TABLE (ord integer, verdict smallint, task uuid, kind smallint, run text, accepted_at bigint, seq bigint,
                 not_before bigint, priority smallint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    base bigint := page.last_seq;
    asked integer := cardinality(ids);
    has_keys boolean := cardinality(array_remove(keys, NULL)) > 0;
    has_options boolean := coalesce(cardinality(not_befores), cardinality(priorities), 0) > 0;
    made smallint[];
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    IF has_keys THEN
        INSERT INTO idempotency (owner, key, fingerprint, task, kind, run, accepted_at)
        SELECT coalesce(a.owner, nobody), a.key, a.fingerprint, a.id, a.kind, a.run, page.at
        FROM unnest(ids, kinds, owners, runs, keys, fingerprints)
            WITH ORDINALITY AS a (id, kind, owner, run, key, fingerprint, n)
        WHERE a.key IS NOT NULL
        ORDER BY a.n
        ON CONFLICT DO NOTHING;
    END IF;
    WITH inserted AS (
        INSERT INTO tasks AS t (id, seq, kind, status, attempts, postponed, owner, run, payload, exclusive, accepted_at, due_at,
                                priority, not_before)
        SELECT a.id, base + a.n, a.kind, 2, 0, coalesce(a.not_before > page.at, false), a.owner, a.run, a.payload,
               a.exclusive, page.at, greatest(page.at, a.not_before), a.priority, a.not_before
        FROM unnest(ids, kinds, owners, runs, payloads, exclusives, keys, not_befores, priorities)
            WITH ORDINALITY AS a (id, kind, owner, run, payload, exclusive, key, not_before, priority, n)
        WHERE (a.key IS NULL OR (
                  SELECT i.task = a.id FROM idempotency i WHERE i.owner = coalesce(a.owner, nobody) AND i.key = a.key))
          -- Perhaps its task became final meanwhile and left `tasks`. Not as EXISTS, here and below: that may be planned
          -- as a join with the whole log.
          AND (NOT again OR (SELECT true FROM events v WHERE v.task = a.id LIMIT 1) IS NULL)
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING t.id, t.seq, t.kind, t.owner, t.run
    ), logged AS (
        INSERT INTO events (seq, at, task, kind, owner, run, accepted_at, accepted_seq, status, attempts)
        SELECT i.seq, page.at, i.id, i.kind, i.owner, i.run, page.at, i.seq, 2, 0 FROM inserted i
    ), noted AS (
        INSERT INTO task_options (task, not_before, priority, accepted_at)
        SELECT i.id, not_befores[i.seq - base], priorities[i.seq - base], page.at FROM inserted i
        WHERE has_options AND (not_befores[i.seq - base] IS NOT NULL OR priorities[i.seq - base] IS NOT NULL)
    )
    SELECT coalesce(array_agg(i.kind), '{}') INTO made FROM inserted i;

    RETURN QUERY SELECT 0, 0::smallint, NULL::uuid, NULL::smallint, NULL::text, page.at, base, NULL::bigint, NULL::smallint;
    IF cardinality(made) < asked THEN
        IF has_keys THEN
            -- A task that was refused has not used its key; nobody beside it may be told of it.
            DELETE FROM idempotency i
            WHERE i.task = ANY (ids) AND (SELECT true FROM events v WHERE v.task = i.task LIMIT 1) IS NULL;
        END IF;
        RETURN QUERY
        SELECT a.n::integer,
               (CASE WHEN own.seq IS NOT NULL THEN
                         CASE WHEN (SELECT t.attempts = 0 AND NOT t.postponed AND t.status = 2 FROM tasks t WHERE t.id = a.id)
                              THEN 4 ELSE 5 END
                     WHEN earlier.task <> a.id THEN CASE WHEN earlier.fingerprint = a.fingerprint THEN 1 ELSE 2 END
                     WHEN rival.id IS NOT NULL THEN 3
                     -- Another request of this very batch had the key, and was refused itself.
                     ELSE 2 END)::smallint,
               CASE WHEN own.seq IS NOT NULL THEN a.id WHEN earlier.task <> a.id THEN earlier.task ELSE rival.id END,
               coalesce(earlier.kind, a.kind), coalesce(earlier.run, a.run),
               coalesce(own.accepted_at, earlier.accepted_at, 0), coalesce(own.seq, 0), options.not_before, options.priority
        FROM unnest(ids, kinds, owners, runs, exclusives, keys, fingerprints)
            WITH ORDINALITY AS a (id, kind, owner, run, exclusive, key, fingerprint, n)
        LEFT JOIN LATERAL (SELECT v.seq, v.accepted_at FROM events v WHERE v.task = a.id ORDER BY v.seq LIMIT 1) own
            ON true
        LEFT JOIN LATERAL (
            SELECT i.task, i.kind, i.run, i.fingerprint, i.accepted_at FROM idempotency i
            WHERE i.owner = coalesce(a.owner, nobody) AND i.key = a.key LIMIT 1
        ) earlier ON true
        LEFT JOIN LATERAL (
            SELECT o.not_before, o.priority FROM task_options o WHERE o.task = earlier.task LIMIT 1
        ) options ON true
        LEFT JOIN LATERAL (
            SELECT t.id FROM tasks t WHERE t.exclusive = a.exclusive AND t.status < 4 AND t.id <> a.id LIMIT 1
        ) rival ON true
        -- What was inserted just now is no exception.
        WHERE own.seq IS NULL OR own.seq <= base;
    END IF;

    IF cardinality(made) > 0 THEN
        INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
        VALUES (page.page, page.at, base + asked, page.accepted + cardinality(made), page.settled, page.dead,
                count_kinds(page.open, made, 1), page.events_floor, page.paused);
    END IF;
END $$;

-- As the version before calls it: nothing was asked besides.
CREATE OR REPLACE FUNCTION accept_tasks(
    ids uuid[], kinds smallint[], owners uuid[], runs text[], payloads text[], exclusives text[],
    keys text[], fingerprints bytea[], again boolean
) RETURNS TABLE (ord integer, verdict smallint, task uuid, kind smallint, run text, accepted_at bigint, seq bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT a.ord, a.verdict, a.task, a.kind, a.run, a.accepted_at, a.seq
    FROM accept_tasks(ids, kinds, owners, runs, payloads, exclusives, keys, fingerprints, NULL, NULL, again) a
$$;

-- Calls a task off: final, with no effect. Verdicts: 0 cancelled, 1 final before, 2 not found. `seq` is the event's place.
CREATE FUNCTION cancel_task(open_id uuid, reason text)
RETURNS TABLE (verdict smallint, seq bigint, kind smallint, priority smallint, owner uuid, run text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    one tasks;
BEGIN
    DELETE FROM tasks t WHERE t.id = open_id AND t.status + 0 < 4 RETURNING * INTO one;
    IF NOT FOUND THEN
        RETURN QUERY
        SELECT (CASE WHEN EXISTS (SELECT 1 FROM tasks t WHERE t.id = open_id)
                       OR EXISTS (SELECT 1 FROM events v WHERE v.task = open_id) THEN 1 ELSE 2 END)::smallint,
               0::bigint, 0::smallint, NULL::smallint, NULL::uuid, NULL::text;
        RETURN;
    END IF;
    INSERT INTO events (seq, at, task, kind, owner, run, accepted_at, accepted_seq, status, attempts, started_at,
                        error_code, error_message)
    VALUES (page.last_seq + 1, page.at, one.id, one.kind, one.owner, one.run, one.accepted_at, one.seq, 8, one.attempts,
            one.started_at, 'cancelled', reason);
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq + 1, page.accepted, page.settled + 1, page.dead,
            count_kinds(page.open, ARRAY[one.kind], -1), page.events_floor, page.paused);
    RETURN QUERY SELECT 0::smallint, page.last_seq + 1, one.kind, one.priority, one.owner, one.run;
END $$;

-- Queues a dead task again; from now on it is found by when it is due, as its place is an old one. Verdicts: 0 queued, 1 not dead, 2 exclusive (`other` is the open one), 3 not found.
CREATE OR REPLACE FUNCTION retry_dead(dead_id uuid)
RETURNS TABLE (verdict smallint, other uuid, seq bigint, kind smallint, owner uuid, run text, payload text, accepted_at bigint, at bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    dead tasks;
    rival uuid;
BEGIN
    SELECT * INTO dead FROM tasks t WHERE t.id = dead_id;
    IF NOT FOUND OR dead.status <> 6 THEN
        RETURN QUERY
        SELECT (CASE WHEN EXISTS (SELECT 1 FROM events v WHERE v.task = dead_id) THEN 1 ELSE 3 END)::smallint,
               NULL::uuid, 0::bigint, 0::smallint, NULL::uuid, NULL::text, ''::text, 0::bigint, page.at;
        RETURN;
    END IF;
    SELECT t.id INTO rival FROM tasks t WHERE t.exclusive = dead.exclusive AND t.status < 4;
    IF FOUND THEN
        RETURN QUERY SELECT 2::smallint, rival, 0::bigint, 0::smallint, NULL::uuid, NULL::text, ''::text, 0::bigint, page.at;
        RETURN;
    END IF;
    UPDATE tasks t
    SET status = 2, attempts = 0, due_at = page.at, postponed = true,
        started_at = NULL, ended_at = NULL, error_code = NULL, error_message = NULL
    WHERE t.id = dead_id;
    INSERT INTO events (seq, at, task, kind, owner, run, accepted_at, accepted_seq, status, attempts)
    VALUES (page.last_seq + 1, page.at, dead.id, dead.kind, dead.owner, dead.run, dead.accepted_at, dead.seq, 2, 0);
    page.open[dead.kind + 1] := page.open[dead.kind + 1] + 1;
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq + 1, page.accepted, page.settled - 1, page.dead - 1, page.open,
            page.events_floor, page.paused);
    RETURN QUERY SELECT 0::smallint, NULL::uuid, dead.seq, dead.kind, dead.owner, dead.run, dead.payload, dead.accepted_at, page.at;
END $$;

-- Removes tasks with all that belongs to them. Answers those that were open.
CREATE OR REPLACE FUNCTION remove_tasks(ids uuid[]) RETURNS TABLE (seq bigint, owner uuid)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    seqs bigint[];
    owners uuid[];
    closed smallint[];
    dead bigint;
BEGIN
    WITH removed AS (
        DELETE FROM tasks t WHERE t.id = ANY (ids) RETURNING t.seq, t.owner, t.kind, t.status
    )
    SELECT coalesce(array_agg(r.seq), '{}'), array_agg(r.owner),
           coalesce(array_agg(r.kind) FILTER (WHERE r.status < 4), '{}'), count(*) FILTER (WHERE r.status = 6)
    INTO seqs, owners, closed, dead FROM removed r;
    DELETE FROM events e WHERE e.task = ANY (ids);
    DELETE FROM effects f WHERE f.task = ANY (ids);
    DELETE FROM idempotency i WHERE i.task = ANY (ids);
    DELETE FROM task_options o WHERE o.task = ANY (ids);
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead - dead,
            count_kinds(page.open, closed, -1), page.events_floor, page.paused);
    RETURN QUERY SELECT o.seq, o.owner FROM unnest(seqs, owners) AS o (seq, owner);
END $$;
