-- Stores checked rows if the head is still $1, and returns one row; otherwise stores nothing and returns no row.
--
-- $1, $2: the head before and after
-- $3, $4: new streams
-- $5 to $14: events, in the order of their positions
-- $15, $16: tags
-- $17 to $20: idempotency keys
--
-- Arrays of columns that are usually null may be shorter. The statement uses no PL/pgSQL and no lookup, because both
-- slow down inserts. The caller completes it with `from moved`, after adding a column if needed.
with moved as (
    update head
    set position    = $2,
        recorded_at = greatest(recorded_at, (extract(epoch from clock_timestamp()) * 1e6)::bigint)
    where position = $1
    returning recorded_at
),
new_stream as (
    insert into stream (key, id)
    select n.key, n.id
    from moved, unnest($3::bigint[], $4::text[]) n (key, id)
),
new_event as (
    insert into event
    select $1 + e.n, e.stream, e.version, e.id, e.name, coalesce(e.schema_version, 1), e.content_type, e.data, e.bytes,
           e.metadata, e.tags, moved.recorded_at
    from moved,
         unnest($5::bigint[], $6::bigint[], $7::uuid[], $8::text[], $9::bigint[], $10::text[], $11::text[],
                $12::bytea[], $13::text[], $14::text[])
         with ordinality
         e (stream, version, id, name, schema_version, content_type, data, bytes, metadata, tags, n)
),
new_tag as (
    insert into tag
    select t.tag, t.position
    from moved, unnest($15::text[], $16::bigint[]) t (tag, position)
),
new_key as (
    insert into idempotency
    select k.key, k.fingerprint, k.position, k.count, moved.recorded_at
    from moved, unnest($17::bytea[], $18::uuid[], $19::bigint[], $20::bigint[]) k (key, fingerprint, position, count)
)
select recorded_at, pg_notify('factum:' || current_schema(), $2::text)::text
