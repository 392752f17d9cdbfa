-- Finds the first result of the idempotency key ?1.
select fingerprint, position, count, recorded_at
from factum_idempotency
where key = ?1
