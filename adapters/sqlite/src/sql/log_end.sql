-- Returns the position and the time of the last event, the highest key of a stream, and the highest indexed event id.
select coalesce((select max(position) from factum_event), 0),
       coalesce((select recorded_at from factum_event order by position desc limit 1), 0),
       coalesce((select max(key) from factum_stream), 0),
       (select max(id) from factum_event where starts_id_run)
