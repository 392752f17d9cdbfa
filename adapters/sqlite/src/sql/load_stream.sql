-- Returns the key and the version of the stream ?1, if it exists.
select s.key,
       coalesce((select max(e.version) from factum_event e where e.stream = s.key), 0)
from factum_stream s
where s.id = ?1
