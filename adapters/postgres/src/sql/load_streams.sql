-- Loads the keys and versions of the streams $1, as far as they exist; returns the head even if none exists.
select h.position as head, s.id, s.key, (select max(e.version) from event e where e.stream = s.key) as version
from head h
left join stream s on s.id = any ($1)
