-- Saves a snapshot unless a newer one of the same stream is stored.
insert into factum_snapshot (stream, version, position, schema_version, data)
values (?1, ?2, ?3, ?4, ?5)
on conflict (stream) do update
set version        = excluded.version,
    position       = excluded.position,
    schema_version = excluded.schema_version,
    data           = excluded.data
where factum_snapshot.version <= excluded.version
