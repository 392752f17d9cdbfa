-- Encodes all events `e` as one value, decoded by `event_row.rs`; texts and data are included if `fits` is set.
string_agg(
    int8send(e.position) || int8send(e.stream) || int8send(e.version) || uuid_send(e.id) || int8send(e.recorded_at)
    || case
           when e.fits and e.content_type is null and e.tags is null and e.schema_version = 1 and e.name > ''
                and e.data is not null
           then textsend(e.name) || '\x00' || textsend(e.metadata) || '\x00' || textsend(e.data) || '\x00'
           else '\x00' || record_send(row(
               e.name, case when e.fits then e.metadata else '' end, e.schema_version, e.content_type,
               case when e.fits then e.tags end,
               case when e.fits then e.data end, case when e.fits then e.bytes end, coalesce(e.fits, true)
           ))
       end,
    ''
)
