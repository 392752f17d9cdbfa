insert into checkpoint (projection, version, position)
values ($1, $2, $3)
on conflict (projection) do update
set version  = excluded.version,
    position = excluded.position
