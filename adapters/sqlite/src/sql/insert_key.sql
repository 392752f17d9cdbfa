insert into factum_idempotency (key, fingerprint, position, count, recorded_at)
values (?1, ?2, ?3, ?4, ?5)
