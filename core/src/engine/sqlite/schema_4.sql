-- Schema 4: tasks for a later time, and tasks that come before or after others.

-- Not to be begun before, as it was asked for; `due_at` moves with each attempt.
ALTER TABLE tasks ADD COLUMN not_before INTEGER;
-- 0 normal, 1 high, 2 low.
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

-- Each priority is looked through by itself: a million low ones hide no high one.
DROP INDEX tasks_open;
CREATE INDEX tasks_open ON tasks (kind, priority, due_at) WHERE status < 4;

-- From here on a status can be 8, cancelled.
