-- Finds the event types of the events after ?1 up to ?2, with the positions of their last events.
select name, max(position)
from factum_event
where position > ?1 and position <= ?2
group by name
