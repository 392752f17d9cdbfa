insert into factum_event (
    position, stream, version, id, name, schema_version, content_type, data, metadata, tags, recorded_at,
    starts_id_run
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
