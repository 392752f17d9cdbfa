-- Key and version of the streams ?1: ["account-42", …] that exist.
select s.id,
       s.key,
       coalesce((select max(e.version) from factum_event e where e.stream = s.key), 0)
from factum_stream s
where s.id in (select value from json_each(?1))
