-- Where the streams $1 stand, those that there are; the head comes even where no stream does.
select h.position as head, s.id, s.key, (select max(e.version) from event e where e.stream = s.key) as version
from head h
left join stream s on s.id = any ($1)
