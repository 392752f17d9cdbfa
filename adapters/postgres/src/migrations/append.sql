-- The newest event behind `condition.after` that matches the query of `condition`:
-- {"after": 7, "items": [{"category": …, "prefix": …, "names": […], "tags": […]}, …]}, where what is absent
-- matches anything, and no items match every event.
create or replace function newest_match(condition jsonb) returns bigint
language sql stable as $$
    select max(e.position)
    from event e
    join stream s on s.key = e.stream
    where e.position > (condition ->> 'after')::bigint
      and (jsonb_array_length(condition -> 'items') = 0 or exists (
          select 1
          from jsonb_array_elements(condition -> 'items') i
          where (i ->> 'category' is null or split_part(s.id, '-', 1) = i ->> 'category')
            and (i ->> 'prefix' is null or starts_with(s.id, i ->> 'prefix'))
            and (jsonb_array_length(i -> 'names') = 0 or i -> 'names' ? e.name)
            and not exists (
                select 1
                from jsonb_array_elements_text(i -> 'tags') wanted (tag)
                where not wanted.tag = any (coalesce(string_to_array(e.tags, e'\n'), '{}'))
            )
      ))
$$;

-- Stores those appends whose expectations hold, each as a whole, and tells of each what became of it.
--
-- a_…: by append: idempotency key and fingerprint, condition (each may be null), number of streams
-- s_…: by stream of each append: id, expected version (-1: any, -2: one or more), number of events
-- e_…: by event of each stream
--
-- outcome: stored, repeated, reused (the key stands for other content), or conflict. For a conflict,
-- `versions` are those that the streams have, in the order of the append, and `newest` is the newest event
-- that violates the condition; otherwise `streams` are those that got events, and `versions` their new ones.
create or replace function append_all(
    a_key bytea[], a_fingerprint uuid[], a_condition text[], a_streams int[],
    s_id text[], s_expected bigint[], s_events int[],
    e_id uuid[], e_name text[], e_schema_version bigint[], e_content_type text[],
    e_data text[], e_bytes bytea[], e_metadata text[], e_tags text[]
)
returns table (
    outcome text, "position" bigint, count bigint, recorded_at bigint,
    streams text[], versions bigint[], newest bigint
)
language plpgsql as $$
#variable_conflict use_column
declare
    head_position bigint;
    now_micros bigint;
    first_position bigint;
    first_stream int := 1;
    first_event int := 1;
    last_stream int;
    events int;
    holds boolean;
    stream_key bigint;
    stream_version bigint;
    keys bigint[];
    before bigint[];
    violating bigint;
    answer idempotency;
begin
    -- The lock: held until the commit, which follows at once.
    select h.position, greatest(h.recorded_at, (extract(epoch from clock_timestamp()) * 1e6)::bigint)
    into head_position, now_micros
    from head h
    for update;
    first_position := head_position;

    -- A few are sooner done one by one.
    if array_length(a_streams, 1) > 4
        and (select bool_and(c is null) from unnest(a_condition) c)
        and (select pg_catalog.count(*) = pg_catalog.count(distinct i) from unnest(s_id) i)
        and (select pg_catalog.count(k) = pg_catalog.count(distinct k) from unnest(a_key) k)
        and not exists (select from idempotency i where i.key = any (a_key))
    then
        for outcome, "position", count, recorded_at, streams, versions, newest in
            select d.*
            from append_distinct(
                a_key, a_fingerprint, a_streams, s_id, s_expected, s_events, e_id, e_name, e_schema_version,
                e_content_type, e_data, e_bytes, e_metadata, e_tags, head_position, now_micros
            ) d
        loop
            head_position := greatest(head_position, "position");
            return next;
        end loop;
        a_streams := '{}';
    end if;

    for a in 1 .. coalesce(array_length(a_streams, 1), 0) loop
        last_stream := first_stream + a_streams[a] - 1;
        events := coalesce((select sum(n) from unnest(s_events[first_stream:last_stream]) n), 0);
        <<one>>
        begin
            if a_key[a] is not null then
                select i.* into answer from idempotency i where i.key = a_key[a];
                if found and answer.fingerprint <> a_fingerprint[a] then
                    return query select 'reused', null::bigint, null::bigint, null::bigint,
                        null::text[], null::bigint[], null::bigint;
                    exit one;
                elsif found then
                    return query
                    select 'repeated', answer.position, answer.count, answer.recorded_at,
                           array_agg(w.id order by w.first), array_agg(w.version order by w.first), null::bigint
                    from (
                        select s.id, max(e.version) as version, min(e.position) as first
                        from event e
                        join stream s on s.key = e.stream
                        where e.position > answer.position - answer.count and e.position <= answer.position
                        group by s.id
                    ) w;
                    exit one;
                end if;
            end if;

            holds := true;
            keys := '{}';
            before := '{}';
            for p in first_stream .. last_stream loop
                select s.key, s.version into stream_key, stream_version from stream s where s.id = s_id[p];
                if not found then
                    stream_key := null;
                    stream_version := 0;
                end if;
                keys := keys || stream_key;
                before := before || stream_version;
                holds := holds and case s_expected[p]
                    when -1 then true
                    when -2 then stream_version > 0
                    else stream_version = s_expected[p]
                end;
            end loop;
            violating := null;
            if a_condition[a] is not null then
                violating := newest_match(a_condition[a]::jsonb);
                holds := holds and violating is null;
            end if;
            if not holds then
                return query select 'conflict', null::bigint, null::bigint, null::bigint,
                    null::text[], before, violating;
                exit one;
            end if;

            streams := '{}';
            versions := '{}';
            for p in first_stream .. last_stream loop
                continue when s_events[p] = 0;
                stream_key := keys[p - first_stream + 1];
                stream_version := before[p - first_stream + 1];
                if stream_key is null then
                    insert into stream (id, version) values (s_id[p], s_events[p])
                    returning stream.key into stream_key;
                else
                    update stream s set version = stream_version + s_events[p] where s.key = stream_key;
                end if;
                insert into event
                select head_position + n, stream_key, stream_version + n,
                       e_id[first_event + n - 1], e_name[first_event + n - 1],
                       e_schema_version[first_event + n - 1], e_content_type[first_event + n - 1],
                       e_data[first_event + n - 1], e_bytes[first_event + n - 1],
                       e_metadata[first_event + n - 1], e_tags[first_event + n - 1], now_micros
                from generate_series(1, s_events[p]) n;
                insert into tag
                select t, head_position + n
                from generate_series(1, s_events[p]) n
                cross join string_to_table(e_tags[first_event + n - 1], e'\n') t
                on conflict do nothing;
                head_position := head_position + s_events[p];
                first_event := first_event + s_events[p];
                events := events - s_events[p];
                streams := streams || s_id[p];
                versions := versions || (stream_version + s_events[p]);
            end loop;
            count := coalesce((select sum(n) from unnest(s_events[first_stream:last_stream]) n), 0);
            if a_key[a] is not null then
                insert into idempotency values (a_key[a], a_fingerprint[a], head_position, count, now_micros);
            end if;
            return query select 'stored', head_position, count, now_micros, streams, versions, null::bigint;
        end one;
        first_stream := last_stream + 1;
        first_event := first_event + events;
    end loop;

    if head_position > first_position then
        update head set position = head_position, recorded_at = now_micros;
        perform pg_notify('factum:' || current_schema(), head_position::text);
    end if;
end
$$;
