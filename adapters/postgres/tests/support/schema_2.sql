-- A database with schema version 2, upgraded from version 1 by the store of that version; `{schema}` is the name of the schema.
create schema {schema};
CREATE FUNCTION {schema}.append_all(a_key bytea[], a_fingerprint uuid[], a_condition text[], s_append integer[], s_id text[], s_expected bigint[], s_events integer[], e_stream integer[], e_place integer[], e_id uuid[], e_name text[], e_schema_version bigint[], e_content_type text[], e_data text[], e_bytes bytea[], e_metadata text[], e_tags text[]) RETURNS TABLE(outcome text, head bigint, "position" bigint, count bigint, recorded_at bigint, keys bigint[], versions bigint[], newest bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    head_before bigint;
    head_after bigint;
    now_micros bigint;
    key_used boolean[];
    newest_violation bigint[];
    accepted boolean[];
    stream_keys bigint[];
    versions_before bigint[];
    positions_before bigint[];
begin
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
    select array_agg(p.position_before order by p.n),
           array_agg(coalesce(p.key, p.position_before + 1) order by p.n),
           max(p.position_before + p.stored)
    into positions_before, stream_keys, head_after
    from (
        select q.n, q.key, q.stored,
               (head_before + sum(q.stored) over (order by q.n) - q.stored)::bigint as position_before
        from (
            select p.n, p.key, case when accepted[p.append] then p.events else 0 end as stored
            from unnest(s_append, s_events, stream_keys) with ordinality p (append, events, key, n)
        ) q
    ) p;
    insert into stream (key, id)
    select p.key, p.id
    from unnest(s_append, s_id, s_events, stream_keys, versions_before) p (append, id, events, key, version)
    where p.version = 0 and p.events > 0 and accepted[p.append];
    with stored as (
        insert into event
        select positions_before[e.stream] + e.place, stream_keys[e.stream], versions_before[e.stream] + e.place,
               e.id, e.name, coalesce(e.schema_version, 1), e.content_type, e.data, e.bytes, e.metadata, e.tags,
               now_micros
        from unnest(e_stream, e_place, e_id, e_name, e_schema_version, e_content_type, e_data, e_bytes, e_metadata, e_tags)
             e (stream, place, id, name, schema_version, content_type, data, bytes, metadata, tags)
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
CREATE FUNCTION {schema}.change(keys text[], required bigint[], new_values text[], kept boolean[], OUT moved text, OUT actual bigint, OUT new_revision bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
    inserted bigint;
begin
    perform 1 from document d where d.key = any (keys) order by d.key for update;
    select c.key, coalesce(d.revision, 0) into moved, actual
    from unnest(keys, required) c (key, required)
    left join document d on d.key = c.key
    where c.required <> coalesce(d.revision, 0)
    limit 1;
    if found then
        return;
    end if;
    new_revision := nextval('revision');
    insert into document (key, revision, value)
    select c.key, new_revision, c.value
    from unnest(keys, required, new_values) c (key, required, value)
    where c.required = 0 and c.value is not null
    order by c.key
    on conflict (key) do nothing;
    get diagnostics inserted = row_count;
    if inserted < (
        select count(*)
        from unnest(required, new_values) c (required, value)
        where c.required = 0 and c.value is not null
    ) then
        select d.key, d.revision into moved, actual
        from unnest(keys, required) c (key, required)
        join document d on d.key = c.key
        where c.required = 0 and d.revision <> new_revision
        limit 1;
        if not found then
            raise exception 'a document was created and deleted during the change'
                using errcode = 'serialization_failure';
        end if;
        return;
    end if;
    insert into document (key, revision, value)
    select c.key, new_revision, c.value
    from unnest(keys, required, new_values) c (key, required, value)
    where c.required is distinct from 0 and c.value is not null
    order by c.key
    on conflict (key) do update set revision = excluded.revision, value = excluded.value;
    delete from document d
    using unnest(keys, new_values, kept) c (key, value, kept)
    where d.key = c.key and c.value is null and not c.kept;
end
$$;
CREATE FUNCTION {schema}.matches(items jsonb, stream text, name text, tags text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
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
CREATE FUNCTION {schema}.must_change(keys text[], required bigint[], new_values text[], kept boolean[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
    changed record;
begin
    select * into changed from change(keys, required, new_values, kept);
    if changed.moved is not null then
        raise exception 'a document is at another revision' using errcode = 'MOVED', detail = (
            select jsonb_build_object(changed.moved, changed.actual)
                   || coalesce(jsonb_object_agg(c.key, coalesce(d.revision, 0)), '{}')
            from unnest(keys, required) c (key, required)
            left join document d on d.key = c.key
            where c.required <> coalesce(d.revision, 0)
              and coalesce(d.revision, 0) is distinct from changed.new_revision
        );
    end if;
    return changed.new_revision;
end
$$;
CREATE FUNCTION {schema}.newest_match(condition jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
declare
    after_position bigint := condition ->> 'after';
    items jsonb := condition -> 'items';
    first_tags text[];
begin
    select array_agg(i -> 'tags' ->> 0) into first_tags from jsonb_array_elements(items) i;
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
CREATE TABLE {schema}.document (
    key text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    value text NOT NULL
);
CREATE TABLE {schema}.event (
    "position" bigint NOT NULL,
    stream bigint NOT NULL,
    version bigint NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    schema_version bigint NOT NULL,
    content_type text,
    data text,
    bytes bytea,
    metadata text NOT NULL,
    tags text,
    recorded_at bigint NOT NULL
);
CREATE TABLE {schema}.stream (
    key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE VIEW {schema}.events AS
 SELECT e."position",
    s.id AS stream,
    e.version,
    e.name,
    e.schema_version,
    e.data,
    e.metadata,
    string_to_array(e.tags, '
'::text) AS tags,
    to_timestamp((((e.recorded_at)::numeric / '1000000'::numeric))::double precision) AS recorded_at,
    e.id
   FROM ({schema}.event e
     JOIN {schema}.stream s ON ((s.key = e.stream)));
CREATE TABLE {schema}.head (
    "position" bigint NOT NULL,
    recorded_at bigint NOT NULL
);
CREATE TABLE {schema}.idempotency (
    key bytea NOT NULL,
    fingerprint uuid NOT NULL,
    "position" bigint NOT NULL,
    count bigint NOT NULL,
    recorded_at bigint NOT NULL
);
CREATE SEQUENCE {schema}.revision
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE {schema}.schema_version (
    version bigint NOT NULL
);
CREATE TABLE {schema}.snapshot (
    stream text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    schema_version bigint NOT NULL,
    data bytea NOT NULL
);
CREATE TABLE {schema}.tag (
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);
INSERT INTO {schema}.document VALUES ('note/a', 1, '{"seen": 1}');
INSERT INTO {schema}.event VALUES (1, 1, 1, '01900000-0000-7000-8000-000000000001', 'shelf.filled', 2, NULL, '{"pieces":5,"weight":0.1}', NULL, '{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}', 'piece:bolt
room:cellar é', 1796049742694367);
INSERT INTO {schema}.event VALUES (2, 1, 2, '01900000-0000-7000-8000-000000000002', 'shelf.taken', 1, NULL, '{"pieces": 2}', NULL, '{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}', NULL, 1796049742694367);
INSERT INTO {schema}.event VALUES (3, 3, 1, '01900000-0000-7000-8000-000000000003', 'room.opened', 2, NULL, '{}', NULL, '{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}', 'piece:bolt', 1796049742694367);
INSERT INTO {schema}.event VALUES (4, 4, 1, '01900000-0000-7000-8000-000000000004', 'shelf.photographed', 1, 'application/octet-stream', NULL, '\x000102ff', '{}', NULL, 1796049742706350);
INSERT INTO {schema}.event VALUES (5, 1, 3, '01900000-0000-7000-8000-000000000005', 'shelf.filled', 2, NULL, '{"pieces":1}', NULL, '{}', 'piece:nut', 1796049742710279);
INSERT INTO {schema}.head VALUES (5, 1796049742718007);
INSERT INTO {schema}.idempotency VALUES ('\x726571756573742d31', 'b752a7ab-0bf4-52d5-8e80-72f54a8787da', 3, 3, 1796049742694367);
INSERT INTO {schema}.schema_version VALUES (2);
INSERT INTO {schema}.snapshot VALUES ('shelf-1', 2, 2, 1, '\x7b22706965636573223a337d');
INSERT INTO {schema}.stream VALUES (1, 'shelf-1');
INSERT INTO {schema}.stream VALUES (3, 'room-cellar-2');
INSERT INTO {schema}.stream VALUES (4, 'shelf-2');
INSERT INTO {schema}.tag VALUES ('piece:bolt', 1);
INSERT INTO {schema}.tag VALUES ('room:cellar é', 1);
INSERT INTO {schema}.tag VALUES ('piece:bolt', 3);
INSERT INTO {schema}.tag VALUES ('piece:nut', 5);
SELECT pg_catalog.setval('{schema}.revision', 2, true);
ALTER TABLE ONLY {schema}.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (key);
ALTER TABLE ONLY {schema}.event
    ADD CONSTRAINT event_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY {schema}.event
    ADD CONSTRAINT event_stream_version_key UNIQUE (stream, version);
ALTER TABLE ONLY {schema}.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (key);
ALTER TABLE ONLY {schema}.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (stream);
ALTER TABLE ONLY {schema}.stream
    ADD CONSTRAINT stream_id_key UNIQUE (id);
ALTER TABLE ONLY {schema}.stream
    ADD CONSTRAINT stream_pkey PRIMARY KEY (key);
ALTER TABLE ONLY {schema}.tag
    ADD CONSTRAINT tag_pkey PRIMARY KEY (tag, "position");
CREATE UNIQUE INDEX event_id ON {schema}.event USING btree (id);
