insert into factum_idempotency (key, fingerprint, position, count, recorded_at)
