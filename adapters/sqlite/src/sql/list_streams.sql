-- Finds at most ?4 streams from ?1 to before ?2, after ?3, with their last events.
--
-- If ?2 is null, the range has no end: a blob sorts after every text. The limit is a subquery, because SQLite would
-- prepare the statement again for each value of a bare parameter.
select s.id, e.version, e.position
from factum_stream s
join factum_event e
    on e.stream = s.key
    and e.version = (select max(l.version) from factum_event l where l.stream = s.key)
where s.id >= max(?1, ?3) and s.id <> ?3 and s.id < coalesce(?2, x'')
order by s.id
limit (select ?4)
