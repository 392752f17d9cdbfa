-- Finds at most $4 streams whose ids start with $1 and are after $3, with their last events.
--
-- $2 is the first text after all ids with that prefix, or null if there is none.
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
