-- Returns whether an event matches one of `items`, or whether there are no items.
--
-- An item is {"category": …, "prefix": …, "names": […], "tags": […]}; a null or empty member matches every event.
create or replace function matches(items jsonb, stream text, name text, tags text) returns boolean
language sql immutable as $$
    select jsonb_array_length(items) = 0 or exists (
        select 1
        from jsonb_array_elements(items) i
        where (i ->> 'category' is null or split_part(stream, '-', 1) = i ->> 'category')
          and (i ->> 'prefix' is null or starts_with(stream, i ->> 'prefix'))
          and (jsonb_array_length(i -> 'names') = 0 or i -> 'names' ? name)
          and not exists (
              select 1
              from jsonb_array_elements_text(i -> 'tags') required (tag)
              where not required.tag = any (coalesce(string_to_array(tags, e'\n'), '{}'))
          )
    )
$$;

-- Returns the newest event after position `condition.after` that matches `condition.items`, or null.
create or replace function newest_match(condition jsonb) returns bigint
language plpgsql stable as $$
declare
    after_position bigint := condition ->> 'after';
    items jsonb := condition -> 'items';
    first_tags text[];
begin
    select array_agg(i -> 'tags' ->> 0) into first_tags from jsonb_array_elements(items) i;
    -- If each item requires a tag, the index on tags finds the candidates.
    if array_position(first_tags, null) is null and first_tags is not null then
        return (
            select max(e.position)
            from tag t
            join event e on e.position = t.position
            join stream s on s.key = e.stream
            where t.tag = any (first_tags) and t.position > after_position and matches(items, s.id, e.name, e.tags)
        );
    end if;
    return (
        select max(e.position)
        from event e
        join stream s on s.key = e.stream
        where e.position > after_position and matches(items, s.id, e.name, e.tags)
    );
end
$$;

-- Stores each append whose expectations hold, as a whole, and returns a row with the outcome of each append.
--
-- The appends must be independent: no stream and no idempotency key occurs twice, and no append condition matches an
-- event of another append.
--
-- a_…: one element for each append: idempotency key, fingerprint and condition, which may be null
-- s_…: one element for each stream of an append: number of the append, id, expected version (-1: any, -2: the stream
--      exists), number of events
-- e_…: one element for each event, in the order of the appends and of the positions in them: number of the stream, number
--      among the new events of that stream, columns of the row
--
-- outcome: 'stored', 'known' (the key was used before, so nothing is checked) or 'conflict'
-- head: the head before the call
-- keys, versions: the keys and new versions of the streams that got events, in the order of s_…; for a conflict,
--      `versions` are the current versions of all streams of the append
-- newest: the newest event that violates the condition
--
-- An upgrade replaces the function, so the names of parameters and result columns cannot be changed.
create or replace function append_all(
    a_key bytea[], a_fingerprint uuid[], a_condition text[],
    s_append int[], s_id text[], s_expected bigint[], s_events int[],
    e_stream int[], e_place int[], e_id uuid[], e_name text[], e_schema_version bigint[], e_content_type text[],
    e_data text[], e_bytes bytea[], e_metadata text[], e_tags text[]
)
returns table (
    outcome text, head bigint, "position" bigint, count bigint, recorded_at bigint,
    keys bigint[], versions bigint[], newest bigint
)
language plpgsql as $$
#variable_conflict use_column
declare
    head_before bigint;
    head_after bigint;
    now_micros bigint;
    -- By append.
    key_used boolean[];
    newest_violation bigint[];
    accepted boolean[];
    -- By stream of an append.
    stream_keys bigint[];
    versions_before bigint[];
    positions_before bigint[];
    rejected_before bigint[];
begin
    -- The lock is held until the commit, which follows immediately.
    select h.position, greatest(h.recorded_at, (extract(epoch from clock_timestamp()) * 1e6)::bigint)
    into head_before, now_micros
    from head h
    for update;

    select array_agg(i.key is not null order by a.n),
           array_agg(case when a.condition is not null then newest_match(a.condition::jsonb) end order by a.n)
    into key_used, newest_violation
    from unnest(a_key, a_condition) with ordinality a (key, condition, n)
    left join idempotency i on i.key = a.key;

    select array_agg(s.key order by p.n),
           array_agg(coalesce((select max(e.version) from event e where e.stream = s.key), 0) order by p.n)
    into stream_keys, versions_before
    from unnest(s_id) with ordinality p (id, n)
    left join stream s on s.id = p.id;

    select array_agg(a.accepted order by a.n)
    into accepted
    from (
        select g.n,
               not key_used[g.n] and newest_violation[g.n] is null and coalesce(bool_and(case p.expected
                   when -1 then true
                   when -2 then p.version > 0
                   else p.version = p.expected
               end), true) as accepted
        from generate_series(1, array_length(a_key, 1)) g (n)
        left join unnest(s_append, s_expected, versions_before) p (append, expected, version) on p.append = g.n
        group by g.n
    ) a;

    -- The position before the first new event of each stream, if the events of the streams were not mixed, and the number
    -- of earlier events that are not stored. The key of a new stream is a position of its append that no other stream has.
    select array_agg(p.position_before order by p.n),
           array_agg(p.rejected_before order by p.n),
           array_agg(coalesce(p.key, p.position_before + 1) order by p.n),
           max(p.position_before + p.stored)
    into positions_before, rejected_before, stream_keys, head_after
    from (
        select q.n, q.key, q.stored,
               (head_before + sum(q.stored) over (order by q.n) - q.stored)::bigint as position_before,
               (sum(q.events - q.stored) over (order by q.n))::bigint as rejected_before
        from (
            select p.n, p.key, p.events, case when accepted[p.append] then p.events else 0 end as stored
            from unnest(s_append, s_events, stream_keys) with ordinality p (append, events, key, n)
        ) q
    ) p;

    insert into stream (key, id)
    select p.key, p.id
    from unnest(s_append, s_id, s_events, stream_keys, versions_before) p (append, id, events, key, version)
    where p.version = 0 and p.events > 0 and accepted[p.append];

    with stored as (
        insert into event
        select head_before + e.n - rejected_before[e.stream], stream_keys[e.stream],
               versions_before[e.stream] + e.place, e.id, e.name, coalesce(e.schema_version, 1), e.content_type,
               e.data, e.bytes, e.metadata, e.tags, now_micros
        from unnest(e_stream, e_place, e_id, e_name, e_schema_version, e_content_type, e_data, e_bytes, e_metadata, e_tags)
             with ordinality e (stream, place, id, name, schema_version, content_type, data, bytes, metadata, tags, n)
        where accepted[s_append[e.stream]]
        returning position, tags
    )
    insert into tag
    select t, stored.position
    from stored
    cross join string_to_table(stored.tags, e'\n') t
    on conflict do nothing;

    return query
    with result as (
        select g.n,
               coalesce(sum(p.events), 0)::bigint as events,
               array_agg(p.key order by p.n) filter (where p.events > 0) as keys,
               array_agg(p.version + p.events order by p.n) filter (where p.events > 0) as new_versions,
               array_agg(p.version order by p.n) filter (where p.n is not null) as old_versions,
               coalesce(max(p.position_before + p.events) filter (where p.events > 0), head_after, head_before) as last
        from generate_series(1, array_length(a_key, 1)) g (n)
        left join unnest(s_append, s_events, stream_keys, versions_before, positions_before)
                  with ordinality p (append, events, key, version, position_before, n)
            on p.append = g.n
        group by g.n
    ),
    stored_key as (
        insert into idempotency
        select a_key[r.n], a_fingerprint[r.n], r.last, r.events, now_micros
        from result r
        where accepted[r.n] and a_key[r.n] is not null
    )
    select case when key_used[r.n] then 'known' when accepted[r.n] then 'stored' else 'conflict' end,
           head_before, r.last, r.events, now_micros,
           r.keys, case when accepted[r.n] then r.new_versions else r.old_versions end,
           newest_violation[r.n]
    from result r
    order by r.n;

    if head_after > head_before then
        update head set position = head_after, recorded_at = now_micros;
        perform pg_notify('factum:' || current_schema(), head_after::text);
    end if;
end
$$;
