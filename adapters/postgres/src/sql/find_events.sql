-- Finds the stored events after position $1 whose ids are in $2.
select id, position, version, recorded_at
from event
where position > $1 and id = any ($2)
