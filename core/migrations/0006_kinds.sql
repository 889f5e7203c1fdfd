-- Schema 6: kinds of tasks are data, and what a task leaves behind has one shape for all of them. No statement names a kind
-- from here on. Servers and workers of the version before go on: what they call keeps its signature and its meaning until a
-- later schema, when none of them can be left (docs/decisions/0031).

-- What the codes in `kind` columns mean. Rows come with the programs that know them and never change.
CREATE TABLE kinds (
    code       smallint PRIMARY KEY CHECK (code BETWEEN 0 AND 255),
    name       text COLLATE "C" NOT NULL UNIQUE,
    -- Whether each success leaves a row in `effects`.
    has_effect boolean NOT NULL
);
-- The two that were known before.
INSERT INTO kinds VALUES (0, 'replacement', true), (1, 'add', false);

CREATE TABLE effects (
    -- One task, one effect: the ledger itself refuses a second.
    task     uuid PRIMARY KEY,
    id       uuid NOT NULL,
    kind     smallint NOT NULL,
    owner    uuid,
    slot     text COLLATE "C",
    -- JSON of the kind's own.
    data     text NOT NULL,
    active   boolean NOT NULL,
    at       bigint NOT NULL,
    replaces uuid
);
INSERT INTO effects (task, id, kind, owner, slot, data, active, at, replaces)
SELECT task, id, 0, owner, 'card',
       json_build_object('card_ref', card_ref, 'last4', last4,
                         'network', (ARRAY['visa', 'mastercard', 'amex'])[network + 1])::text,
       active, issued_at, replaces
FROM cards;
CREATE UNIQUE INDEX effects_active ON effects (kind, coalesce(owner, '00000000-0000-0000-0000-000000000000'), slot)
    WHERE active AND slot IS NOT NULL;
CREATE INDEX effects_owner ON effects (owner, kind, at) WHERE owner IS NOT NULL;

-- For those of the version before, who read and remove cards.
DROP TABLE cards;
CREATE VIEW cards AS
SELECT f.id, f.owner, f.task, f.data::json ->> 'card_ref' AS card_ref, f.data::json ->> 'last4' AS last4,
       (array_position(ARRAY['visa', 'mastercard', 'amex'], f.data::json ->> 'network') - 1)::smallint AS network,
       f.active, f.at AS issued_at, f.replaces
FROM effects f WHERE f.kind = 0;

-- Counts of tasks by kind (code + 1), with some more or fewer.
CREATE FUNCTION count_kinds(counts bigint[], kinds smallint[], step bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    kind smallint;
BEGIN
    FOREACH kind IN ARRAY kinds LOOP
        WHILE cardinality(counts) <= kind LOOP
            counts := counts || 0::bigint;
        END LOOP;
        counts[kind + 1] := counts[kind + 1] + step;
    END LOOP;
    RETURN counts;
END $$;

-- Accepts a batch. The row with ord 0 tells the time of the batch and the place before its first task: task n has place
-- seq + n. The other rows are the tasks that were not accepted as new, and why: 1 replay, 2 idempotency mismatch,
-- 3 exclusive (`task` is the open one), 4 accepted by an earlier try of this very call, whose answer was lost, 5 the
-- same, and it is past waiting for its first attempt. `again`: there may have been an earlier try for some of them.
CREATE OR REPLACE FUNCTION accept_tasks(
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
    SELECT coalesce(array_agg(i.kind), '{}') INTO made FROM inserted i;

    RETURN QUERY SELECT 0, 0::smallint, NULL::uuid, NULL::smallint, NULL::text, page.at, base;
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

    IF cardinality(made) > 0 THEN
        INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
        VALUES (page.page, page.at, base + asked, page.accepted + cardinality(made), page.settled, page.dead,
                count_kinds(page.open, made, 1), page.events_floor, page.paused);
    END IF;
END $$;

-- Ends a batch of attempts, each of another task: 3 retry after `waits` microseconds (an attempt that does not count
-- leaves no event), 4 succeeded, 5 declined, 6 give up. Answers for each: 0 applied, 1 already final, 2 applied and not
-- told (it did not count), 3 gone. The row with ord 0 tells when, and the place before the first.
CREATE FUNCTION end_attempts(
    ids uuid[], outcomes smallint[], started bigint[], waits bigint[], counting boolean[], results text[],
    error_codes text[], error_messages text[], effect_ids uuid[], effect_slots text[], effect_data text[],
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
    ended smallint[];
    one tasks;
    n integer;
    leaving integer[];
    part integer[];
    at_once boolean;
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
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
           coalesce(array_agg(s.kind ORDER BY s.n), '{}')
    INTO applied, owners, runs, ended
    FROM settled s;

    -- An effect takes the place of what was active in its slot. All at once, unless two have one slot. `leaving` counts
    -- within `applied`.
    SELECT coalesce(array_agg(o.i ORDER BY o.i), '{}'),
           count(DISTINCT (o.kind, o.owner, effect_slots[o.n])) FILTER (WHERE effect_slots[o.n] IS NOT NULL)
             = count(effect_slots[o.n])
    INTO leaving, at_once
    FROM unnest(applied, owners, ended) WITH ORDINALITY AS o (n, owner, kind, i) WHERE effect_data[o.n] IS NOT NULL;
    FOR i IN 1 .. CASE WHEN at_once THEN least(cardinality(leaving), 1) ELSE cardinality(leaving) END LOOP
        part := CASE WHEN at_once THEN leaving ELSE leaving[i:i] END;
        WITH replaced AS (
            UPDATE effects f SET active = false
            FROM unnest(part) AS o (i)
            WHERE f.active AND f.slot IS NOT NULL AND f.kind = ended[o.i] AND f.slot = effect_slots[applied[o.i]]
              AND coalesce(f.owner, '00000000-0000-0000-0000-000000000000') = coalesce(owners[o.i], nobody)
            RETURNING o.i, f.id
        )
        INSERT INTO effects (task, id, kind, owner, slot, data, active, at, replaces)
        SELECT ids[applied[o.i]], effect_ids[applied[o.i]], ended[o.i], owners[o.i], effect_slots[applied[o.i]],
               effect_data[applied[o.i]], true, page.at, r.id
        FROM unnest(part) AS o (i) LEFT JOIN replaced r ON r.i = o.i;
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
            ended := ended || one.kind;
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
        VALUES (page.page, page.at, base + cardinality(ids), page.accepted, page.settled + cardinality(ended), page.dead,
                count_kinds(page.open, ended, -1), page.events_floor, page.paused);
    END IF;
END $$;

-- As the version before calls it: an effect is a card.
CREATE OR REPLACE FUNCTION end_attempts(
    ids uuid[], outcomes smallint[], started bigint[], waits bigint[], counting boolean[], results text[],
    error_codes text[], error_messages text[], card_ids uuid[], card_refs text[], last4s text[], networks smallint[],
    again boolean
) RETURNS TABLE (ord integer, verdict smallint, owner uuid, run text, at bigint, seq bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT * FROM end_attempts(
        ids, outcomes, started, waits, counting, results, error_codes, error_messages, card_ids,
        ARRAY(SELECT CASE WHEN c.ref IS NOT NULL THEN 'card' END FROM unnest(card_refs) WITH ORDINALITY AS c (ref, n) ORDER BY c.n),
        ARRAY(SELECT CASE WHEN c.ref IS NOT NULL THEN
                  json_build_object('card_ref', c.ref, 'last4', c.last4,
                                    'network', (ARRAY['visa', 'mastercard', 'amex'])[c.network + 1])::text END
              FROM unnest(card_refs, last4s, networks) WITH ORDINALITY AS c (ref, last4, network, n) ORDER BY c.n),
        again)
$$;

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
    INSERT INTO books (page, at, last_seq, accepted, settled, dead, open, events_floor, paused)
    VALUES (page.page, page.at, page.last_seq, page.accepted, page.settled, page.dead - dead,
            count_kinds(page.open, closed, -1), page.events_floor, page.paused);
    RETURN QUERY SELECT o.seq, o.owner FROM unnest(seqs, owners) AS o (seq, owner);
END $$;
