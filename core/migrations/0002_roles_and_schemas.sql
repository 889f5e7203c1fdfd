-- Schema 2: names are compared alike in every database, commits are durable whatever the session is set to, and the ledger
-- works beside others in one database and under a role that may not change it. It only adds: servers of schema 1 go on.

-- Names fold as in Rust (`accounts::folded`), whatever the database's collation calls lower case. The index of schema 1
-- stays for the servers of schema 1.
DO $$
DECLARE
    twins bigint;
BEGIN
    SELECT count(*) INTO twins FROM (SELECT 1 FROM users GROUP BY lower(username COLLATE "C") HAVING count(*) > 1) t;
    IF twins > 0 THEN
        RAISE EXCEPTION '% names of users differ by letter case alone, which the collation of this database let pass', twins
            USING HINT = 'Rename all but one of each: SELECT array_agg(id) FROM users GROUP BY lower(username COLLATE "C") HAVING count(*) > 1';
    END IF;
END $$;
CREATE UNIQUE INDEX users_folded ON users (lower(username COLLATE "C"));

-- What P3 and P4 rest on is ordered by bytes: an upgrade of the system's collations must not put a unique index out of
-- order. (What a run is called is found by equality alone, and its columns are part of what servers of schema 1 read.)
ALTER TABLE idempotency ALTER COLUMN key TYPE text COLLATE "C";
ALTER TABLE tasks ALTER COLUMN exclusive TYPE text COLLATE "C";

-- Begins a turn: waits for the one before to be committed, and answers the totals it left, with the present time.
CREATE OR REPLACE FUNCTION begin_turn() RETURNS books LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    latest books;
BEGIN
    -- Of this transaction and its commit, whatever the session, the role or a pooler says.
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock('books'::regclass::oid::bigint);
    -- A statement of its own: its snapshot is taken after the wait.
    SELECT * INTO STRICT latest FROM books ORDER BY page DESC LIMIT 1;
    latest.page := latest.page + 1;
    -- A clock that is set back must not put an event before an earlier one.
    latest.at := greatest(ledger_now(), latest.at);
    RETURN latest;
END $$;

-- The next functions do what only the owner of the ledger may, for whoever is granted to call them. Their search path is
-- this schema alone (below), so that nobody makes them take another table for ours.

-- Makes sure that there is a partition for each day from `first` to `last` (days since 1970).
CREATE OR REPLACE FUNCTION ensure_days(first integer, last integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    made integer := 0;
    name text;
BEGIN
    IF last - first > 100 THEN
        RAISE EXCEPTION 'more than a hundred days at once';
    END IF;
    -- One at a time; and not while a day is dropped.
    PERFORM pg_advisory_xact_lock('events'::regclass::oid::bigint);
    FOR day IN first .. last LOOP
        name := 'events_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL;
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
CREATE OR REPLACE FUNCTION drop_day(day integer) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    name text := 'events_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
    page books;
    newest bigint;
BEGIN
    PERFORM pg_advisory_xact_lock('events'::regclass::oid::bigint);
    IF to_regclass(quote_ident(name)) IS NULL THEN
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

-- New statistics of the open tasks.
CREATE FUNCTION refresh_statistics() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    ANALYZE tasks;
END $$;

-- What a server or worker needs of each table of the ledger.
CREATE FUNCTION runtime_rights() RETURNS TABLE (relation oid, name text, right_to text) LANGUAGE sql STABLE AS $$
    SELECT c.oid, c.relname::text, r
    FROM pg_class c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      -- Which ledger it is and what was migrated is the owner's affair.
      AND (r = 'SELECT' OR c.relname NOT IN ('ledger', '_sqlx_migrations'))
$$;

-- Gives a role what a server or worker needs, and nothing else. For the owner of the ledger. What later schemas add is
-- given as well.
CREATE FUNCTION grant_runtime(role regrole) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    home text := current_schema();
    needed record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', home, role);
    FOR needed IN SELECT * FROM runtime_rights() LOOP
        EXECUTE format('GRANT %s ON TABLE %I.%I TO %s', needed.right_to, home, needed.name, role);
    END LOOP;
    FOR needed IN
        SELECT p.oid::regprocedure AS signature FROM pg_proc p
        WHERE p.pronamespace = quote_ident(home)::regnamespace AND p.proname <> 'grant_runtime'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', needed.signature, role);
    END LOOP;
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %s', home, role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT EXECUTE ON FUNCTIONS TO %s', home, role);
END $$;

-- What of it the present role has not; none if it has all.
CREATE FUNCTION missing_rights() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(m.what, ', ' ORDER BY m.what COLLATE "C") FROM (
        SELECT r.right_to || ' on ' || r.name AS what FROM runtime_rights() r WHERE NOT has_table_privilege(r.relation, r.right_to)
        UNION ALL
        SELECT 'EXECUTE on ' || p.proname FROM pg_proc p
        WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.proname <> 'grant_runtime'
          AND NOT has_function_privilege(p.oid, 'EXECUTE')
    ) m
$$;

-- How many of today and tomorrow the log has a place for: 2, unless something is wrong.
CREATE FUNCTION days_ahead() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN generate_series(0, 1) AS day
    WHERE i.inhparent = 'events'::regclass
      AND c.relname = 'events_' || to_char(date '1970-01-01' + (ledger_now() / 86400000000)::integer + day, 'YYYYMMDD')
$$;

DO $$
DECLARE
    home text := current_schema();
    signature regprocedure;
BEGIN
    FOREACH signature IN ARRAY ARRAY['ensure_days(integer, integer)', 'drop_day(integer)', 'refresh_statistics()',
                                     'grant_runtime(regrole)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, home);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END $$;
