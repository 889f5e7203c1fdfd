-- Schema 5: what a task left behind knows its place in the log, and what it comes to if it is an amount. Histories are
-- read by it, a page at a time, and its place is the version of the history.

ALTER TABLE effects ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE effects SET seq = coalesce(
    (SELECT max(e.seq) FROM events e WHERE e.task = effects.task AND e.status = 4), effects.task);

-- Ten-thousandths, exact; none for what is no amount.
ALTER TABLE effects ADD COLUMN amount INTEGER
    GENERATED ALWAYS AS (CASE json_type(data, '$.amount') WHEN 'integer' THEN data ->> '$.amount' END) VIRTUAL;

DROP INDEX effects_owner;
-- With all that a summary reads.
CREATE INDEX effects_history ON effects (owner, kind, at, seq, amount) WHERE owner IS NOT NULL;
