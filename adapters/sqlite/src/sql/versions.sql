-- The streams that got the events of positions ?1 to ?2, in that order, and their versions then.
select s.id, max(e.version)
from factum_event e
join factum_stream s on s.key = e.stream
where e.position between ?1 and ?2
group by e.stream
order by min(e.position)
