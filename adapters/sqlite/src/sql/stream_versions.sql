-- Returns the streams of the events at positions ?1 to ?2, in that order, and their versions after those events.
select s.id, max(e.version)
from factum_event e
join factum_stream s on s.key = e.stream
where e.position between ?1 and ?2
group by e.stream
order by min(e.position)
