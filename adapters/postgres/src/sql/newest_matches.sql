-- Finds the newest event that violates each of the conditions $1, in their order, with the current head.
select h.position as head, newest_match(c.condition::jsonb) as newest
from head h
cross join unnest($1::text[]) with ordinality c (condition, n)
order by c.n
