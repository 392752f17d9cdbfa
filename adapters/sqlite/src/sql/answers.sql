-- What was answered to the keys ?1: ["req-7", …].
select key, fingerprint, position, count, recorded_at
from factum_idempotency
where key in (select value from json_each(?1))
