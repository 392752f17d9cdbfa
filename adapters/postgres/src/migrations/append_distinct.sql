-- What `append_all` does, for appends that cannot get into each other's way: no stream is named twice, no append
-- has a condition, and no key was used before. A handful of statements, however many appends there are. The
-- caller holds the lock; the head moves from `first_position`.
create or replace function append_distinct(
    a_key bytea[], a_fingerprint uuid[], a_streams int[],
    s_id text[], s_expected bigint[], s_events int[],
    e_id uuid[], e_name text[], e_schema_version bigint[], e_content_type text[],
    e_data text[], e_bytes bytea[], e_metadata text[], e_tags text[],
    first_position bigint, now_micros bigint
)
returns table (
    outcome text, "position" bigint, count bigint, recorded_at bigint,
    streams text[], versions bigint[], newest bigint
)
language plpgsql as $$
#variable_conflict use_column
declare
    s_append int[];
    keys bigint[];
    before bigint[];
    holds boolean[];
begin
    select array_agg(a.n::int order by a.n)
    into s_append
    from unnest(a_streams) with ordinality a (streams, n)
    cross join generate_series(1, a.streams);

    select array_agg(s.key order by i.n), array_agg(coalesce(s.version, 0) order by i.n)
    into keys, before
    from unnest(s_id) with ordinality i (id, n)
    left join stream s on s.id = i.id;

    select array_agg(a.holds order by a.n)
    into holds
    from (
        select g.n,
               coalesce(bool_and(case p.expected
                   when -1 then true
                   when -2 then p.before > 0
                   else p.before = p.expected
               end), true) as holds
        from generate_series(1, array_length(a_streams, 1)) g (n)
        left join unnest(s_append, s_expected, before) p (append, expected, before) on p.append = g.n
        group by g.n
    ) a;

    insert into stream (id, version)
    select p.id, p.events
    from unnest(s_append, s_id, s_events, keys) p (append, id, events, key)
    where p.key is null and p.events > 0 and holds[p.append];
    if found then
        select array_agg(s.key order by i.n)
        into keys
        from unnest(s_id) with ordinality i (id, n)
        left join stream s on s.id = i.id;
    end if;
    update stream s
    set version = p.before + p.events
    from unnest(s_append, keys, s_events, before) p (append, key, events, before)
    where s.key = p.key and p.events > 0 and p.before > 0 and holds[p.append];

    with part as (
        select row_number() over (order by p.n, k) as n, p.append, p.key, p.before + k as version
        from unnest(s_append, keys, s_events, before) with ordinality p (append, key, events, before, n)
        cross join generate_series(1, p.events) k
    ),
    stored as (
        insert into event
        select first_position + row_number() over (order by e.n), part.key, part.version,
               e.id, e.name, e.schema_version, e.content_type, e.data, e.bytes, e.metadata, e.tags, now_micros
        from unnest(e_id, e_name, e_schema_version, e_content_type, e_data, e_bytes, e_metadata, e_tags)
             with ordinality e (id, name, schema_version, content_type, data, bytes, metadata, tags, n)
        join part on part.n = e.n
        where holds[part.append]
        returning position, tags
    )
    insert into tag
    select t, stored.position
    from stored
    cross join string_to_table(stored.tags, e'\n') t
    on conflict do nothing;

    return query
    with append as (
        select g.n,
               coalesce(sum(p.events), 0)::bigint as events,
               array_agg(p.id order by p.n) filter (where p.events > 0) as ids,
               array_agg(p.before + p.events order by p.n) filter (where p.events > 0) as behind,
               array_agg(p.before order by p.n) filter (where p.n is not null) as before
        from generate_series(1, array_length(a_streams, 1)) g (n)
        left join unnest(s_append, s_id, s_events, before) with ordinality p (append, id, events, before, n)
            on p.append = g.n
        group by g.n
    ),
    answer as (
        select a.*,
               (first_position + sum(case when holds[a.n] then a.events else 0 end) over (order by a.n))::bigint
                   as last
        from append a
    ),
    remembered as (
        insert into idempotency
        select a_key[a.n], a_fingerprint[a.n], a.last, a.events, now_micros
        from answer a
        where holds[a.n] and a_key[a.n] is not null
    )
    select case when holds[a.n] then 'stored' else 'conflict' end,
           case when holds[a.n] then a.last end,
           case when holds[a.n] then a.events end,
           case when holds[a.n] then now_micros end,
           case when holds[a.n] then a.ids end,
           case when holds[a.n] then a.behind else a.before end,
           null::bigint
    from answer a
    order by a.n;
end
$$;
