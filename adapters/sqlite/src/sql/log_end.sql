-- Returns the position and the time of the last event, and the highest key of a stream.
select coalesce((select max(position) from factum_event), 0),
       coalesce((select recorded_at from factum_event order by position desc limit 1), 0),
       coalesce((select max(key) from factum_stream), 0)
