-- Whether an event matches one of `items`: [{"category": …, "prefix": …, "names": […], "tags": […]}, …], where what is
-- absent matches anything, and no items match every event.
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
              from jsonb_array_elements_text(i -> 'tags') wanted (tag)
              where not wanted.tag = any (coalesce(string_to_array(tags, e'\n'), '{}'))
          )
    )
$$;

-- The newest event behind `condition.after` that matches `condition.items`.
create or replace function newest_match(condition jsonb) returns bigint
language plpgsql stable as $$
declare
    known_up_to bigint := condition ->> 'after';
    items jsonb := condition -> 'items';
    tagged text[];
begin
    select array_agg(i -> 'tags' ->> 0) into tagged from jsonb_array_elements(items) i;
    -- Where each alternative asks for a tag, the index of tags finds what may match.
    if array_position(tagged, null) is null and tagged is not null then
        return (
            select max(e.position)
            from tag t
            join event e on e.position = t.position
            join stream s on s.key = e.stream
            where t.tag = any (tagged) and t.position > known_up_to and matches(items, s.id, e.name, e.tags)
        );
    end if;
    return (
        select max(e.position)
        from event e
        join stream s on s.key = e.stream
        where e.position > known_up_to and matches(items, s.id, e.name, e.tags)
    );
end
$$;

-- Stores those appends whose expectations hold, each as a whole, and tells of each what became of it. They must not
-- get into each other's way: no stream and no key is named twice, and no condition matches an event of another.
--
-- a_…: by append: idempotency key and fingerprint, condition (each may be null)
-- s_…: by stream of each append: which append, id, expected version (-1: any, -2: one or more), number of events
-- e_…: by event of each stream: which stream, its place among the new events of that stream, and the row
--
-- outcome: stored, known (the key was used: nothing is judged), or conflict. `head` is that before the call. For a
-- conflict, `versions` are those that the streams have, in the order of the append, and `newest` is the newest event
-- that violates the condition; otherwise `keys` are those of the streams that got events, and `versions` their new ones.
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
    first_position bigint;
    last_position bigint;
    now_micros bigint;
    known boolean[];
    violating bigint[];
    stream_keys bigint[];
    before bigint[];
    holds boolean[];
    ahead bigint[];
begin
    -- The lock: held until the commit, which follows at once.
    select h.position, greatest(h.recorded_at, (extract(epoch from clock_timestamp()) * 1e6)::bigint)
    into first_position, now_micros
    from head h
    for update;

    select array_agg(i.key is not null order by a.n),
           array_agg(case when a.condition is not null then newest_match(a.condition::jsonb) end order by a.n)
    into known, violating
    from unnest(a_key, a_condition) with ordinality a (key, condition, n)
    left join idempotency i on i.key = a.key;

    select array_agg(s.key order by p.n),
           array_agg(coalesce((select max(e.version) from event e where e.stream = s.key), 0) order by p.n)
    into stream_keys, before
    from unnest(s_id) with ordinality p (id, n)
    left join stream s on s.id = p.id;

    select array_agg(a.holds order by a.n)
    into holds
    from (
        select g.n,
               not known[g.n] and violating[g.n] is null and coalesce(bool_and(case p.expected
                   when -1 then true
                   when -2 then p.before > 0
                   else p.before = p.expected
               end), true) as holds
        from generate_series(1, array_length(a_key, 1)) g (n)
        left join unnest(s_append, s_expected, before) p (append, expected, before) on p.append = g.n
        group by g.n
    ) a;

    -- The position behind which the new events of each stream stand; a new stream has that of its first as its key.
    select array_agg(p.ahead order by p.n), array_agg(coalesce(p.key, p.ahead + 1) order by p.n), max(p.ahead + p.taken)
    into ahead, stream_keys, last_position
    from (
        select q.n, q.key, q.taken, (first_position + sum(q.taken) over (order by q.n) - q.taken)::bigint as ahead
        from (
            select p.n, p.key, case when holds[p.append] then p.events else 0 end as taken
            from unnest(s_append, s_events, stream_keys) with ordinality p (append, events, key, n)
        ) q
    ) p;

    insert into stream (key, id)
    select p.key, p.id
    from unnest(s_append, s_id, s_events, stream_keys, before) p (append, id, events, key, before)
    where p.before = 0 and p.events > 0 and holds[p.append];

    with stored as (
        insert into event
        select ahead[e.stream] + e.place, stream_keys[e.stream], before[e.stream] + e.place,
               e.id, e.name, coalesce(e.schema_version, 1), e.content_type, e.data, e.bytes, e.metadata, e.tags,
               now_micros
        from unnest(e_stream, e_place, e_id, e_name, e_schema_version, e_content_type, e_data, e_bytes, e_metadata, e_tags)
             e (stream, place, id, name, schema_version, content_type, data, bytes, metadata, tags)
        where holds[s_append[e.stream]]
        returning position, tags
    )
    insert into tag
    select t, stored.position
    from stored
    cross join string_to_table(stored.tags, e'\n') t
    on conflict do nothing;

    return query
    with answer as (
        select g.n,
               coalesce(sum(p.events), 0)::bigint as events,
               array_agg(p.key order by p.n) filter (where p.events > 0) as keys,
               array_agg(p.before + p.events order by p.n) filter (where p.events > 0) as behind,
               array_agg(p.before order by p.n) filter (where p.n is not null) as before,
               coalesce(max(p.ahead + p.events) filter (where p.events > 0), last_position, first_position) as last
        from generate_series(1, array_length(a_key, 1)) g (n)
        left join unnest(s_append, s_events, stream_keys, before, ahead)
                  with ordinality p (append, events, key, before, ahead, n)
            on p.append = g.n
        group by g.n
    ),
    remembered as (
        insert into idempotency
        select a_key[a.n], a_fingerprint[a.n], a.last, a.events, now_micros
        from answer a
        where holds[a.n] and a_key[a.n] is not null
    )
    select case when known[a.n] then 'known' when holds[a.n] then 'stored' else 'conflict' end,
           first_position, a.last, a.events, now_micros,
           a.keys, case when holds[a.n] then a.behind else a.before end,
           violating[a.n]
    from answer a
    order by a.n;

    if last_position > first_position then
        update head set position = last_position, recorded_at = now_micros;
        perform pg_notify('factum:' || current_schema(), last_position::text);
    end if;
end
$$;
