-- Finds at most $4 streams from $1 to before $2, after $3, with their last events.
--
-- If $2 is null, the range has no end.
select s.id, e.version, e.position
from stream s
cross join lateral (
    select l.version, l.position
    from event l
    where l.stream = s.key
    order by l.version desc
    limit 1
) e
where s.id >= $1 and s.id > $3 and ($2 is null or s.id < $2)
order by s.id
limit $4
