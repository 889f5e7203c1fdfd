-- Schema 1 of the cluster's ledger. Times are microseconds since 1970 by this server's clock.
--
-- Every write that an event follows goes through one of the functions below. They take turns (one lock, held until the
-- commit), so places in the log follow commit order: who has seen place n never finds one below n later. A function is
-- one statement, so a caller that dies while its turn lasts leaves nothing open: the server ends the turn by itself.

-- Open tasks, and dead letters until they are retried or discarded: what work is found by. Final tasks leave it, so it
-- and its indexes stay as small as the backlog.
CREATE TABLE tasks (
    id          uuid PRIMARY KEY,
    -- Place of the accept in the log.
    seq         bigint NOT NULL,
    kind        smallint NOT NULL,
    -- 2 queued, 3 retrying, 6 dead. Below 4 is open.
    status      smallint NOT NULL,
    attempts    integer NOT NULL,
    -- Waits for a time of its own: rung by the sweep when that has come, and not by the accept.
    postponed   boolean NOT NULL,
    owner       uuid,
    run         text,
    payload     text NOT NULL,
    exclusive   text,
    accepted_at bigint NOT NULL,
    due_at      bigint NOT NULL,
    -- The latest attempt that ended: the log may have dropped it.
    started_at    bigint,
    ended_at      bigint,
    error_code    text,
    error_message text
) WITH (
    -- Rows come and go by the million: vacuum by number, not by share, and without pauses; statistics often.
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.05,
    autovacuum_analyze_threshold = 5000
);

-- One open task for a key (P3).
CREATE UNIQUE INDEX tasks_exclusive ON tasks (exclusive) WHERE status < 4 AND exclusive IS NOT NULL;
-- The sweep's way through what is open, oldest first.
CREATE INDEX tasks_open ON tasks (kind, seq) WHERE status < 4;
CREATE INDEX tasks_postponed ON tasks (due_at) WHERE status < 4 AND postponed;
CREATE INDEX tasks_dead ON tasks (seq) WHERE status = 6;

-- The log, and the whole history: a task's latest event is its present state. A partition holds a day; retention drops
-- whole days.
CREATE TABLE events (
    seq           bigint NOT NULL,
    at            bigint NOT NULL,
    task          uuid NOT NULL,
    kind          smallint NOT NULL,
    owner         uuid,
    run           text,
    accepted_at   bigint NOT NULL,
    -- The task's accept: the event is the accept if this is its own place.
    accepted_seq  bigint NOT NULL,
    -- 2 queued, 3 retrying, 4 succeeded, 5 declined, 6 dead.
    status        smallint NOT NULL,
    attempts      integer NOT NULL,
    started_at    bigint,
    result        text,
    error_code    text,
    error_message text,
    PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);

CREATE INDEX events_task ON events (task, seq);
CREATE INDEX events_run ON events (run, seq) WHERE run IS NOT NULL;
CREATE INDEX events_owner ON events (owner, seq) WHERE owner IS NOT NULL;

-- The running totals after each commit, one row a commit: the newest row is the truth. A row that is updated in place
-- would leave a chain of dead versions behind while somebody holds an old snapshot (a dump), and every commit would
-- have to walk it; the newest end of an index is found at once whatever lies before it. Old rows are swept away.
CREATE TABLE books (
    page         bigint PRIMARY KEY,
    at           bigint NOT NULL,
    last_seq     bigint NOT NULL,
    accepted     bigint NOT NULL,
    settled      bigint NOT NULL,
    dead         bigint NOT NULL,
    -- Open tasks by kind (its code + 1).
    open         bigint[] NOT NULL,
    -- Events up to here may be gone.
    events_floor bigint NOT NULL,
    paused       boolean NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1
);
INSERT INTO books VALUES (0, 0, 0, 0, 0, 0, '{0,0}', 0, false);

-- Which ledger this is: platforms that share a Redis are kept apart by it.
CREATE TABLE ledger (
    id uuid PRIMARY KEY
);
INSERT INTO ledger VALUES (gen_random_uuid());

CREATE TABLE idempotency (
    -- The nil UUID for what nobody owns.
    owner       uuid NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    task        uuid NOT NULL,
    kind        smallint NOT NULL,
    run         text,
    accepted_at bigint NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_task ON idempotency (task);
CREATE INDEX idempotency_age ON idempotency (accepted_at);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    username      text NOT NULL,
    password_hash text,
    created_at    bigint NOT NULL,
    -- The run that a generated user was made for; none for people.
    run           text
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE INDEX users_run ON users (run) WHERE run IS NOT NULL;

-- Ids whose access tokens may still be about.
CREATE TABLE deleted_users (
    id         uuid PRIMARY KEY,
    deleted_at bigint NOT NULL
);
CREATE INDEX deleted_users_age ON deleted_users (deleted_at);

CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY,
    session    uuid NOT NULL,
    user_id    uuid NOT NULL,
    expires_at bigint NOT NULL,
    spent      boolean NOT NULL
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

CREATE TABLE cards (
    id        uuid PRIMARY KEY,
    owner     uuid NOT NULL,
    -- One task, one card: the ledger itself refuses a second.
    task      uuid NOT NULL UNIQUE,
    card_ref  text NOT NULL,
    last4     text NOT NULL,
    network   smallint NOT NULL,
    active    boolean NOT NULL,
    issued_at bigint NOT NULL,
    replaces  uuid
);
CREATE INDEX cards_owner ON cards (owner);
CREATE UNIQUE INDEX cards_active ON cards (owner) WHERE active;

CREATE FUNCTION ledger_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Begins a turn: waits for the one before to be committed, and answers the totals it left, with the present time.
CREATE FUNCTION begin_turn() RETURNS books LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    latest books;
BEGIN
    PERFORM pg_advisory_xact_lock('books'::regclass::oid::bigint);
    -- A statement of its own: its snapshot is taken after the wait.
    SELECT * INTO STRICT latest FROM books ORDER BY page DESC LIMIT 1;
    latest.page := latest.page + 1;
    -- A clock that is set back must not put an event before an earlier one.
    latest.at := greatest(ledger_now(), latest.at);
    RETURN latest;
END $$;

-- Accepts a batch. The row with ord 0 tells the time of the batch and the place before its first task: task n has place
-- seq + n. The other rows are the tasks that were not accepted as new, and why: 1 replay, 2 idempotency mismatch,
-- 3 exclusive (`task` is the open one), 4 accepted by an earlier try of this very call, whose answer was lost, 5 the
-- same, and it is past waiting for its first attempt. `again`: there may have been an earlier try for some of them.
CREATE FUNCTION accept_tasks(
    ids uuid[], kinds smallint[], owners uuid[], runs text[], payloads text[], exclusives text[],
    keys text[], fingerprints bytea[], again boolean
) RETURNS TABLE (ord integer, verdict smallint, task uuid, kind smallint, run text, accepted_at bigint, seq bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    base bigint := page.last_seq;
    asked integer := cardinality(ids);
    has_keys boolean := cardinality(array_remove(keys, NULL)) > 0;
    made bigint[];
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
        INSERT INTO tasks AS t (id, seq, kind, status, attempts, postponed, owner, run, payload, exclusive, accepted_at, due_at)
        SELECT a.id, base + a.n, a.kind, 2, 0, false, a.owner, a.run, a.payload, a.exclusive, page.at, page.at
        FROM unnest(ids, kinds, owners, runs, payloads, exclusives, keys)
            WITH ORDINALITY AS a (id, kind, owner, run, payload, exclusive, key, n)
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
    )
    SELECT ARRAY[count(*) FILTER (WHERE i.kind = 0), count(*) FILTER (WHERE i.kind = 1)] INTO made FROM inserted i;

    RETURN QUERY SELECT 0, 0::smallint, NULL::uuid, NULL::smallint, NULL::text, page.at, base;
    IF made[1] + made[2] < asked THEN
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
               coalesce(own.accepted_at, earlier.accepted_at, 0), coalesce(own.seq, 0)
        FROM unnest(ids, kinds, owners, runs, exclusives, keys, fingerprints)
            WITH ORDINALITY AS a (id, kind, owner, run, exclusive, key, fingerprint, n)
        LEFT JOIN LATERAL (SELECT v.seq, v.accepted_at FROM events v WHERE v.task = a.id ORDER BY v.seq LIMIT 1) own
            ON true
        LEFT JOIN LATERAL (
            SELECT i.task, i.kind, i.run, i.fingerprint, i.accepted_at FROM idempotency i
            WHERE i.owner = coalesce(a.owner, nobody) AND i.key = a.key LIMIT 1
        ) earlier ON true
        LEFT JOIN LATERAL (
            SELECT t.id FROM tasks t WHERE t.exclusive = a.exclusive AND t.status < 4 AND t.id <> a.id LIMIT 1
        ) rival ON true
        -- What was inserted just now is no exception.
        WHERE own.seq IS NULL OR own.seq <= base;
    END IF;

    IF made[1] + made[2] > 0 THEN
        INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
        VALUES (page.page, page.at, base + asked, page.accepted + made[1] + made[2], page.settled, page.dead,
                ARRAY[page.open[1] + made[1], page.open[2] + made[2]], page.events_floor, page.paused);
    END IF;
END $$;

-- Ends a batch of attempts, each of another task: 3 retry after `waits` microseconds (an attempt that does not count
-- leaves no event), 4 succeeded, 5 declined, 6 give up. Answers for each: 0 applied, 1 already final, 2 applied and not
-- told (it did not count), 3 gone. The row with ord 0 tells when, and the place before the first.
CREATE FUNCTION end_attempts(
    ids uuid[], outcomes smallint[], started bigint[], waits bigint[], counting boolean[], results text[],
    error_codes text[], error_messages text[], card_ids uuid[], card_refs text[], last4s text[], networks smallint[],
    again boolean
) RETURNS TABLE (ord integer, verdict smallint, owner uuid, run text, at bigint, seq bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    base bigint := page.last_seq;
    verdicts smallint[] := array_fill(1::smallint, ARRAY[cardinality(ids)]);
    settling uuid[];
    moving integer[];
    applied integer[];
    owners uuid[];
    runs text[];
    ended bigint[];
    one tasks;
    n integer;
    carding integer[];
    card_owners uuid[];
    at_once boolean;
BEGIN
    -- Those that an earlier try of this very call has ended: its answer was lost.
    IF again THEN
        SELECT coalesce(array_agg(a.n), '{}') INTO moving
        FROM unnest(ids, started) WITH ORDINALITY AS a (id, started, n)
        WHERE (SELECT true FROM events v WHERE v.task = a.id AND v.started_at = a.started LIMIT 1);
        FOREACH n IN ARRAY moving LOOP
            verdicts[n] := 2;
            outcomes[n] := 0;
        END LOOP;
    END IF;
    SELECT array_agg(a.id) FILTER (WHERE a.outcome IN (4, 5)), coalesce(array_agg(a.n::integer) FILTER (WHERE a.outcome IN (3, 6)), '{}')
    INTO settling, moving
    FROM unnest(ids, outcomes) WITH ORDINALITY AS a (id, outcome, n);

    WITH removed AS (
        -- By one table's index alone: nothing here depends on statistics.
        -- The sum keeps the index of what is open out of it, which a plan made for a small table would read whole.
        DELETE FROM tasks t WHERE t.id = ANY (settling) AND t.status + 0 < 4
        RETURNING t.id, t.seq, t.kind, t.owner, t.run, t.accepted_at, t.attempts
    ), settled AS (
        SELECT a.n::integer AS n, a.outcome, a.started, a.result, a.error_code, a.error_message, r.*
        FROM unnest(ids, outcomes, started, results, error_codes, error_messages)
            WITH ORDINALITY AS a (id, outcome, started, result, error_code, error_message, n)
        JOIN removed r ON r.id = a.id
    ), logged AS (
        INSERT INTO events (seq, at, task, kind, owner, run, accepted_at, accepted_seq, status, attempts, started_at,
                            result, error_code, error_message)
        SELECT base + s.n, page.at, s.id, s.kind, s.owner, s.run, s.accepted_at, s.seq, s.outcome, s.attempts + 1, s.started,
               s.result, s.error_code, s.error_message
        FROM settled s ORDER BY s.n
    )
    SELECT coalesce(array_agg(s.n ORDER BY s.n), '{}'), array_agg(s.owner ORDER BY s.n), array_agg(s.run ORDER BY s.n),
           ARRAY[count(*) FILTER (WHERE s.kind = 0), count(*) FILTER (WHERE s.kind = 1)]
    INTO applied, owners, runs, ended
    FROM settled s;

    -- A new card blocks the one before it. All at once, unless two are for one owner.
    SELECT coalesce(array_agg(o.n ORDER BY o.n), '{}'), array_agg(o.owner ORDER BY o.n), count(DISTINCT o.owner) = count(*)
    INTO carding, card_owners, at_once
    FROM unnest(applied, owners) AS o (n, owner) WHERE card_refs[o.n] IS NOT NULL;
    FOR i IN 1 .. CASE WHEN at_once THEN least(cardinality(carding), 1) ELSE cardinality(carding) END LOOP
        UPDATE cards c SET active = false
        WHERE c.active AND c.owner = ANY (CASE WHEN at_once THEN card_owners ELSE card_owners[i:i] END);
        INSERT INTO cards (id, owner, task, card_ref, last4, network, active, issued_at, replaces)
        SELECT card_ids[o.n], o.owner, ids[o.n], card_refs[o.n], last4s[o.n], networks[o.n], true, page.at,
               (SELECT c.id FROM cards c WHERE c.owner = o.owner ORDER BY c.issued_at DESC, c.id DESC LIMIT 1)
        FROM unnest(CASE WHEN at_once THEN carding ELSE carding[i:i] END,
                    CASE WHEN at_once THEN card_owners ELSE card_owners[i:i] END) AS o (n, owner);
    END LOOP;

    RETURN QUERY SELECT 0, 0::smallint, NULL::uuid, NULL::text, page.at, base;
    RETURN QUERY SELECT o.n, 0::smallint, o.owner, o.run, page.at, base + o.n FROM unnest(applied, owners, runs) AS o (n, owner, run);
    FOREACH n IN ARRAY applied LOOP
        verdicts[n] := 0;
    END LOOP;

    -- Retries and the dead, one by one: there are few.
    FOREACH n IN ARRAY moving LOOP
        -- An attempt ends once: its worker may have given up waiting for the answer, and told us again.
        PERFORM 1 FROM events v WHERE v.task = ids[n] AND v.started_at = started[n] AND v.status = outcomes[n] LIMIT 1;
        IF FOUND THEN
            verdicts[n] := 2;
            CONTINUE;
        END IF;
        IF outcomes[n] = 3 AND NOT counting[n] THEN
            UPDATE tasks t SET due_at = page.at + waits[n], postponed = true WHERE t.id = ids[n] AND t.status < 4;
            IF FOUND THEN
                verdicts[n] := 2;
            END IF;
            CONTINUE;
        END IF;
        UPDATE tasks t
        SET status = outcomes[n], attempts = t.attempts + 1, postponed = (outcomes[n] = 3),
            due_at = CASE WHEN outcomes[n] = 3 THEN page.at + waits[n] ELSE t.due_at END,
            started_at = started[n], ended_at = page.at, error_code = error_codes[n], error_message = error_messages[n]
        WHERE t.id = ids[n] AND t.status < 4
        RETURNING * INTO one;
        IF NOT FOUND THEN
            CONTINUE;
        END IF;
        verdicts[n] := 0;
        INSERT INTO events (seq, at, task, kind, owner, run, accepted_at, accepted_seq, status, attempts, started_at,
                            error_code, error_message)
        VALUES (base + n, page.at, one.id, one.kind, one.owner, one.run, one.accepted_at, one.seq, one.status, one.attempts,
                started[n], error_codes[n], error_messages[n]);
        IF one.status = 6 THEN
            ended[one.kind + 1] := ended[one.kind + 1] + 1;
            page.dead := page.dead + 1;
        END IF;
        applied := applied || n;
        RETURN QUERY SELECT n, 0::smallint, one.owner, one.run, page.at, base + n;
    END LOOP;

    RETURN QUERY
    SELECT a.n::integer,
           (CASE WHEN a.verdict = 2 THEN 2
                 WHEN (SELECT true FROM events v WHERE v.task = a.id LIMIT 1) THEN 1 ELSE 3 END)::smallint,
           NULL::uuid, NULL::text, page.at, 0::bigint
    FROM unnest(ids, verdicts) WITH ORDINALITY AS a (id, verdict, n) WHERE a.verdict <> 0;

    IF cardinality(applied) > 0 THEN
        INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
        VALUES (page.page, page.at, base + cardinality(ids), page.accepted, page.settled + ended[1] + ended[2], page.dead,
                ARRAY[page.open[1] - ended[1], page.open[2] - ended[2]], page.events_floor, page.paused);
    END IF;
END $$;

-- Queues a dead task again. Verdicts: 0 queued, 1 not dead, 2 exclusive (`other` is the open one), 3 not found.
CREATE FUNCTION retry_dead(dead_id uuid)
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
    SET status = 2, attempts = 0, due_at = page.at, postponed = false,
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

-- Takes a dead letter off the list for good. Its last event keeps the reason. False if it is no dead letter.
CREATE FUNCTION discard_dead(dead_id uuid, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    page books := begin_turn();
    latest bigint;
BEGIN
    DELETE FROM tasks t WHERE t.id = dead_id AND t.status = 6;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT e.seq INTO latest FROM events e WHERE e.task = dead_id ORDER BY e.seq DESC LIMIT 1;
    UPDATE events e SET error_message = coalesce(e.error_message, '') || ' (discarded: ' || reason || ')'
    WHERE e.task = dead_id AND e.seq = latest;
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead - 1, page.open, page.events_floor, page.paused);
    RETURN true;
END $$;

CREATE FUNCTION set_paused(value boolean) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    page books := begin_turn();
BEGIN
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead, page.open, page.events_floor, value);
END $$;

-- Removes tasks with all that belongs to them. Answers those that were open.
CREATE FUNCTION remove_tasks(ids uuid[]) RETURNS TABLE (seq bigint, owner uuid)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    page books := begin_turn();
    seqs bigint[];
    owners uuid[];
    counts bigint[];
BEGIN
    WITH removed AS (
        DELETE FROM tasks t WHERE t.id = ANY (ids) RETURNING t.seq, t.owner, t.kind, t.status
    )
    SELECT coalesce(array_agg(r.seq), '{}'), array_agg(r.owner),
           ARRAY[count(*) FILTER (WHERE r.kind = 0 AND r.status < 4), count(*) FILTER (WHERE r.kind = 1 AND r.status < 4),
                 count(*) FILTER (WHERE r.status = 6)]
    INTO seqs, owners, counts FROM removed r;
    DELETE FROM events e WHERE e.task = ANY (ids);
    DELETE FROM cards c WHERE c.task = ANY (ids);
    DELETE FROM idempotency i WHERE i.task = ANY (ids);
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead - counts[3],
            ARRAY[page.open[1] - counts[1], page.open[2] - counts[2]], page.events_floor, page.paused);
    RETURN QUERY SELECT o.seq, o.owner FROM unnest(seqs, owners) AS o (seq, owner);
END $$;

-- Makes sure that there is a partition for each day from `first` to `last` (days since 1970).
CREATE FUNCTION ensure_days(first integer, last integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    made integer := 0;
    name text;
BEGIN
    -- One at a time; and not while a day is dropped.
    PERFORM pg_advisory_xact_lock('events'::regclass::oid::bigint);
    FOR day IN first .. last LOOP
        name := 'events_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        -- Attached, not created in place: that does not keep readers and writers of the other days out.
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)', name);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', name,
                       day::bigint * 86400000000, (day + 1)::bigint * 86400000000);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Raises the floor of the log past a day and drops that day. What is open or dead keeps its row in `tasks`.
CREATE FUNCTION drop_day(day integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    name text := 'events_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
    page books;
    newest bigint;
BEGIN
    PERFORM pg_advisory_xact_lock('events'::regclass::oid::bigint);
    IF to_regclass(name) IS NULL THEN
        RETURN false;
    END IF;
    -- Whoever reads a page of it right now ends soon; else rather another time than to keep everybody waiting.
    PERFORM set_config('lock_timeout', '500ms', true);
    page := begin_turn();
    EXECUTE format('SELECT max(seq) FROM %I', name) INTO newest;
    EXECUTE format('DROP TABLE %I', name);
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead, page.open,
            greatest(page.events_floor, coalesce(newest, 0)), page.paused);
    RETURN true;
END $$;
