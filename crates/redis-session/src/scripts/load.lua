#!lua flags=allow-oom
-- load: read a session and start its idle time anew, but never past its deadline.
-- Allowed when memory is short: it takes none.
-- KEYS[1] session       string: the deadline (13 digits of ms since 1970), then the value
-- ARGV[1] now_us        microseconds since 1970, or 0 for the server's time
-- ARGV[2] idle_ms       how long it lives without use, 1 to 2^40
-- ARGV[3] untouched_ms  the TTL above which it is left as it is, 0 to idle_ms
-- returns  the value | nil if it is gone; what has no deadline comes whole, for the caller to refuse
-- replay   a second run reads the same
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local deadline_ms = tonumber(string.sub(stored, 1, 13))
if not deadline_ms then return stored end
local left_ms = deadline_ms - math.floor(now_us / 1000)
if left_ms <= 0 then
  redis.call('DEL', KEYS[1])
  return false
end
local ttl_ms = math.min(tonumber(ARGV[2]), left_ms)
local has_ms = redis.call('PTTL', KEYS[1])
-- What lives longer than it may is cut, and what lost its TTL gets one again.
if has_ms < 0 or has_ms > ttl_ms or (has_ms <= tonumber(ARGV[3]) and has_ms < ttl_ms) then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl_ms))
end
return string.sub(stored, 14)
