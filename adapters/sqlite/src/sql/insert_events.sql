insert into factum_event (
    position, stream, version, id, name, schema_version, content_type, data, metadata, tags, recorded_at
)
