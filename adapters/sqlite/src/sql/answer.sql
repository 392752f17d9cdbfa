-- What was answered to the key ?1.
select fingerprint, position, count, recorded_at
from factum_idempotency
where key = ?1
