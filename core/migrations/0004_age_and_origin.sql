-- Schema 4. The age of the queue is read from the ledger: beside `tasks_postponed`, this index finds what has been due for
-- longest, whatever Redis knows and however many tasks are put off.
CREATE INDEX tasks_due ON tasks (due_at) WHERE status < 4 AND NOT postponed;

-- In which server and database the ledger was opened first. A copy of it lies elsewhere, which is how it knows that it is one.
ALTER TABLE ledger ADD COLUMN origin text;
