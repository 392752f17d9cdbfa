-- The documents ?1, [["key", "value"], …], get their values, and the revision ?2.
insert into factum_document (key, revision, value)
select value ->> 0, ?2, value ->> 1
from json_each(?1)
where true -- or SQLite takes "on conflict" for a join
on conflict (key) do update set revision = excluded.revision, value = excluded.value
