-- What the migrator of disintegrate-postgres 4.0.1 creates; PostgreSQL before 16 rejects that, for a
-- hexadecimal literal in `event_store_begin_epoch`.
CREATE SEQUENCE IF NOT EXISTS seq_event_event_id;

CREATE TABLE IF NOT EXISTS event (
    event_id bigint PRIMARY KEY DEFAULT nextval('seq_event_event_id'),
    event_type varchar(255),
    payload bytea,
    inserted_at timestamp DEFAULT now(),
    account text
);

CREATE INDEX IF NOT EXISTS idx_event_type_btree ON event (event_type);
CREATE INDEX IF NOT EXISTS idx_event_account ON event (account) WHERE account IS NOT NULL;

-- Marks the transaction as one that writes at or behind the present end of the sequence.
CREATE OR REPLACE FUNCTION event_store_begin_epoch() RETURNS void AS $$
DECLARE
    written bigint := (SELECT last_value FROM seq_event_event_id);
    here int := (SELECT oid FROM pg_database WHERE datname = current_database());
BEGIN
    PERFORM pg_try_advisory_xact_lock_shared(here, 0);
    PERFORM pg_try_advisory_xact_lock_shared(1, (written & 4294967295)::bit(32)::int);
    PERFORM pg_try_advisory_xact_lock_shared(2, (written >> 32)::bit(32)::int);
END;
$$ LANGUAGE plpgsql;

-- The last event after which no transaction is still writing.
CREATE OR REPLACE FUNCTION event_store_current_epoch() RETURNS bigint AS $$
DECLARE
    stored bigint := (SELECT coalesce(max(event_id), 0) FROM event);
    here int := (SELECT oid FROM pg_database WHERE datname = current_database());
    pending bigint := (
        SELECT min((high.objid::bigint << 32) + low.objid::bigint)
        FROM pg_locks AS writer
        JOIN pg_locks AS low ON low.pid = writer.pid AND low.classid = 1
        JOIN pg_locks AS high ON high.pid = writer.pid AND high.classid = 2
        WHERE writer.locktype = 'advisory' AND writer.classid = here
    );
BEGIN
    RETURN least(coalesce(pending, stored), stored);
END;
$$ LANGUAGE plpgsql;
