#!lua
-- token_bucket: take units of a bucket that refills steadily, up to what is left, or none.
-- KEYS[1] bucket  string "debt:at", parts missing from the full bucket, and when, us; absent = full
-- ARGV[1] now_us  microseconds since the epoch, 0 = the server's time
-- ARGV[2] least   units below which none is taken, 1 to 2^52
-- ARGV[3] most    units to take, 0 (look only) to 2^53
-- ARGV[4] burst   units of the full bucket, 1 to 2^52
-- ARGV[5] parts   parts of a unit; burst * parts is at most 2^52
-- ARGV[6] drain   parts that come back in a microsecond
-- returns  {units taken, units left, us until `least` are left (0 = they are), us until the bucket is full,
--          us since the epoch when it is full}
-- replay   a second run takes again: it can only refuse more, never admit more
local now_us, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local parts, drain = tonumber(ARGV[5]), tonumber(ARGV[6])
local full = tonumber(ARGV[4]) * parts
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local debt, at = string.match(redis.call('GET', KEYS[1]) or '0:0', '^(%d+):(%d+)$')
debt, at = tonumber(debt), tonumber(at)
-- A product too large for a Lua number loses digits but stays larger than any debt.
debt = math.min(math.max(debt - math.max(now_us - at, 0) * drain, 0), full)
local left, taken, wait_us = math.floor((full - debt) / parts), 0, 0

if left >= least then
  taken = math.min(most, left)
  debt = debt + taken * parts
else
  wait_us = math.ceil((least * parts - (full - debt)) / drain)
end
local reset_us = math.ceil(debt / drain)

-- Without a take, only what is not as it should be is written: no TTL, or a time that lies ahead
-- since the clock was set back, which would hold the debt until then.
if taken > 0 or at > now_us or redis.call('PTTL', KEYS[1]) == -1 then
  -- One more than needed, so that no part of a millisecond is forgiven.
  local ttl_ms = string.format('%.0f', math.ceil(reset_us / 1000) + 1)
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', debt, now_us), 'PX', ttl_ms)
end
return {taken, left - taken, wait_us, reset_us, now_us + math.floor(debt / drain)}
