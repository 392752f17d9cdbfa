-- ?1: [[key, fingerprint as hexadecimal digits, position, count, recorded_at], …]
insert into factum_idempotency (key, fingerprint, position, count, recorded_at)
select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4
from json_each(?1)
