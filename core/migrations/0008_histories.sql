-- Schema 8: what a task left behind knows its place in the log, and what it comes to if it is an amount. Histories are read
-- by it, a page at a time, and its place is the version of the history. What the version before calls keeps its signature
-- and its meaning (docs/decisions/0031).

ALTER TABLE effects ADD COLUMN seq bigint NOT NULL DEFAULT 0;
-- Of what the log has forgotten only the order is known: before all that it has.
UPDATE effects f SET seq = p.seq
FROM (
    SELECT f.task, coalesce(max(e.seq), row_number() OVER (ORDER BY f.at, f.id) - 1 - count(*) OVER ()) AS seq
    FROM effects f LEFT JOIN events e ON e.task = f.task AND e.status = 4
    GROUP BY f.task, f.at, f.id
) p WHERE p.task = f.task;

-- Ten-thousandths, exact; none for what is no amount. By its text: not all that JSON can say is something that Postgres can
-- read as JSON (\u0000). Within a string every quotation mark has a backslash before it, so nothing else looks like this.
ALTER TABLE effects ADD COLUMN amount bigint
    GENERATED ALWAYS AS (substring(data FROM '"amount":([0-9]{1,18})[,}]')::bigint) STORED;

DROP INDEX effects_owner;
-- With all that a summary reads.
CREATE INDEX effects_history ON effects (owner, kind, at, seq) INCLUDE (amount) WHERE owner IS NOT NULL;

-- Ends a batch of attempts, each of another task: 3 retry after `waits` microseconds (an attempt that does not count
-- leaves no event), 4 succeeded, 5 declined, 6 give up. Answers for each: 0 applied, 1 already final, 2 applied and not
-- told (it did not count), 3 gone. The row with ord 0 tells when, and the place before the first.
CREATE OR REPLACE FUNCTION end_attempts(
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
        INSERT INTO effects (task, id, kind, owner, slot, data, active, at, replaces, seq)
        SELECT ids[applied[o.i]], effect_ids[applied[o.i]], ended[o.i], owners[o.i], effect_slots[applied[o.i]],
               effect_data[applied[o.i]], true, page.at, r.id, base + applied[o.i]
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
