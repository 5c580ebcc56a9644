#!lua flags=allow-oom
-- prolong: give a holder of permits a whole lease from now, never a shorter one than it has.
-- KEYS[1] holders   hash: token to "weight:fence:end of its lease in us"
-- ARGV[1] now_us    microseconds since the epoch; 0 = the server's time
-- ARGV[2] token     no colon in it
-- ARGV[3] lease_ms  at least 1
-- returns  1 extended | 2 not held by this token
-- replay   a second run extends again, by what has passed since
local now_us, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[3])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local entry = redis.call('HGET', KEYS[1], ARGV[2]) or ''
local permits, until_us = string.match(entry, '^(%d+:%d+):(%d+)$')
if tonumber(until_us or 0) <= now_us then return 2 end

local ends = string.format('%.0f', math.max(until_us, now_us + lease_ms * 1000))
redis.call('HSET', KEYS[1], ARGV[2], permits .. ':' .. ends)
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), lease_ms))
return 1
