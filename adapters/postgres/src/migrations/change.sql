-- Changes documents, all or none, and returns their new revision.
--
-- Each of `keys` must be at its `required` revision (null: any; 0: the document does not exist). It gets its new value,
-- is deleted if the value is null, or stays as it is if it is `kept`.
--
-- If a document is at another revision, `moved` and `actual` name it, and the caller must roll back. Documents are
-- locked in the order of their keys, so that two changes cannot deadlock.
create or replace function change(
    keys text[], required bigint[], new_values text[], kept boolean[],
    out moved text, out actual bigint, out new_revision bigint
)
language plpgsql as $$
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

    -- Another transaction can insert a document that must not exist: the primary key decides which one wins.
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

-- Changes documents as a part of a larger statement, and raises the error `MOVED` if a document is at another revision.
--
-- The error undoes the whole statement. Its detail holds the actual revisions: {"key": revision, …}.
create or replace function must_change(
    keys text[], required bigint[], new_values text[], kept boolean[]
) returns bigint
language plpgsql as $$
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
