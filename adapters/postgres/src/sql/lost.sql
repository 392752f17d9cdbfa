-- Those of the events $2 that are stored, behind position $1.
select id, position, version, recorded_at
from event
where position > $1 and id = any ($2)
