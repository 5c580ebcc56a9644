#!lua flags=allow-oom
-- extend: give each holder a whole lease from now, never a shorter one than it has.
-- KEYS[1..n] locks     strings "token:fence"; absent = free
-- ARGV[1]    lease_ms  at least 1
-- ARGV[2..n] tokens    one for each lock; no colon in them
-- returns  one number for each lock: 1 extended | 2 not held by its token
-- replay   a second run extends again, by what has passed since
local lease_ms, codes = tonumber(ARGV[1]), {}
for i = 1, #KEYS do
  local owner = string.match(redis.call('GET', KEYS[i]) or '', '^([^:]*):')
  codes[i] = owner == ARGV[i + 1] and 1 or 2
end
for i = 1, #KEYS do
  -- Written also where nothing changes, so that waiting for replicas has something to wait for.
  if codes[i] == 1 then
    redis.call('PEXPIRE', KEYS[i], math.max(redis.call('PTTL', KEYS[i]), lease_ms))
  end
end
return codes
