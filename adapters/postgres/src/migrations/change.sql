-- Changes documents, all or none: each of `keys` must be at its `required` revision (null: any; 0: it does not exist), and
-- gets its new value (null: none), unless it is `kept`; without a value, and not kept, it is deleted.
--
-- Where a document has moved, `moved` and `actual` name it, and the caller must roll back. Documents are locked in the
-- order of their keys, so that two changes never wait for each other.
create or replace function change(
    keys text[], required bigint[], new_values text[], kept boolean[],
    out moved text, out actual bigint, out new_revision bigint
)
language plpgsql as $$
declare
    fresh bigint;
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

    -- What must not exist may come into being at this moment, too: then the index has the last word.
    insert into document (key, revision, value)
    select c.key, new_revision, c.value
    from unnest(keys, required, new_values) c (key, required, value)
    where c.required = 0 and c.value is not null
    order by c.key
    on conflict (key) do nothing;
    get diagnostics fresh = row_count;
    if fresh < (select count(*) from unnest(required, new_values) c (required, value)
                where c.required = 0 and c.value is not null) then
        select d.key, d.revision into moved, actual
        from unnest(keys, required) c (key, required)
        join document d on d.key = c.key
        where c.required = 0 and d.revision <> new_revision
        limit 1;
        if not found then
            raise exception 'a document came and went at this moment' using errcode = 'serialization_failure';
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

-- The same as a part of a statement that does more: all of it is rolled back where documents have moved. The detail of the
-- error `MOVED` says where they are: {"key": revision, …}.
create or replace function must_change(
    keys text[], required bigint[], new_values text[], kept boolean[]
) returns bigint
language plpgsql as $$
declare
    made record;
begin
    select * into made from change(keys, required, new_values, kept);
    if made.moved is not null then
        raise exception 'a document has moved' using errcode = 'MOVED', detail = (
            select jsonb_build_object(made.moved, made.actual) || coalesce(jsonb_object_agg(c.key, coalesce(d.revision, 0)), '{}')
            from unnest(keys, required) c (key, required)
            left join document d on d.key = c.key
            where c.required <> coalesce(d.revision, 0) and coalesce(d.revision, 0) is distinct from made.new_revision
        );
    end if;
    return made.new_revision;
end
$$;
