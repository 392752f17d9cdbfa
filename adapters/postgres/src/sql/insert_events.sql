-- Does the same as `insert.sql` for batches that only have events of existing streams.
--
-- Each table that a statement may write to costs time, even if no row is written.
--
-- $1, $2: the head before and after
-- $3 to $12: events, in the order of their positions
with moved as (
    update head
    set position    = $2,
        recorded_at = greatest(recorded_at, (extract(epoch from clock_timestamp()) * 1e6)::bigint)
    where position = $1
    returning recorded_at
),
new_event as (
    insert into event
    select $1 + e.n, e.stream, e.version, e.id, e.name, coalesce(e.schema_version, 1), e.content_type, e.data, e.bytes,
           e.metadata, e.tags, moved.recorded_at
    from moved,
         unnest($3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::text[],
                $10::bytea[], $11::text[], $12::text[])
         with ordinality
         e (stream, version, id, name, schema_version, content_type, data, bytes, metadata, tags, n)
)
select recorded_at, pg_notify('factum:' || current_schema(), $2::text)::text
