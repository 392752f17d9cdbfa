insert into factum_document (key, revision, value)
values (?, ?, ?)
on conflict (key) do update set revision = excluded.revision, value = excluded.value
