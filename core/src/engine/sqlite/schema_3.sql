-- Schema 3: kinds of tasks are data, and what a task leaves behind has one shape for all of them.

-- What the codes in `kind` columns mean. Rows come with the programs that know them (engine/kinds.rs) and never change.
CREATE TABLE kinds (
    code       INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    -- Whether each success leaves a row in `effects`.
    has_effect INTEGER NOT NULL
) STRICT;

-- The two that were known before.
INSERT INTO kinds VALUES (0, 'replacement', 1), (1, 'add', 0);

CREATE TABLE effects (
    -- One task, one effect: the ledger itself refuses a second.
    task     INTEGER PRIMARY KEY,
    id       BLOB NOT NULL,
    kind     INTEGER NOT NULL,
    owner    BLOB,
    slot     TEXT,
    -- JSON of the kind's own.
    data     TEXT NOT NULL,
    active   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    replaces BLOB
) STRICT;

CREATE UNIQUE INDEX effects_active ON effects (kind, coalesce(owner, x''), slot) WHERE active = 1 AND slot IS NOT NULL;
CREATE INDEX effects_owner ON effects (owner, kind, at) WHERE owner IS NOT NULL;

INSERT INTO effects (task, id, kind, owner, slot, data, active, at, replaces)
SELECT task, id, 0, owner, 'card',
       json_object('card_ref', card_ref, 'last4', last4,
                   'network', CASE network WHEN 1 THEN 'mastercard' WHEN 2 THEN 'amex' ELSE 'visa' END),
       active, issued_at, replaces
FROM cards;

DROP TABLE cards;
