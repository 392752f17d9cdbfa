-- Returns the last run of consecutive event ids that starts with ?1 or a lower id.
select id, position
from factum_event
where starts_id_run and id <= ?1
order by id desc
limit 1
