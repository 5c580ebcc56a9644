#!lua flags=allow-oom
-- load: read a session and start its idle time anew, but never past its deadline.
-- Allowed when memory is short: it takes none.
-- KEYS[1] session       string, see create
-- KEYS[2] index         sorted set of the user's sessions by when they end in ms
-- ARGV[1] now_us        microseconds since 1970, or 0 for the server's time
-- ARGV[2] idle_ms       how long it lives without use, 1 to 2^40
-- ARGV[3] untouched_ms  the TTL above which it is left as it is, 0 to idle_ms
-- ARGV[4] member        its name in the index; a user's session that is not there has been revoked
-- returns  the session | {1, the session} if its idle time began anew | nil if it is gone; what is
--          no session comes whole, for the caller to refuse
-- replay   a second run reads the same
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
local owned, has_ms = string.byte(stored, 56) == 117, redis.call('PTTL', KEYS[1])
local listed = not owned or redis.call('ZSCORE', KEYS[2], ARGV[4])
-- What has a TTL ends by its deadline, since no TTL was ever set past it.
local fresh = has_ms > tonumber(ARGV[3]) and has_ms <= tonumber(ARGV[2])
if listed and fresh and ARGV[1] == '0' then return stored end

local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms, deadline_ms = math.floor(now_us / 1000), tonumber(string.sub(stored, 1, 13))
if not deadline_ms then return stored end
local left_ms = deadline_ms - now_ms
if left_ms <= 0 or not listed then
  redis.call('DEL', KEYS[1])
  return false
end
local ttl_ms = math.min(tonumber(ARGV[2]), left_ms)
-- What lives longer than it may is cut, and what lost its TTL gets one again.
if has_ms >= 0 and has_ms <= ttl_ms and (fresh or has_ms == left_ms) then return stored end
redis.call('SETRANGE', KEYS[1], 26, string.format('%013.0f', now_ms))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl_ms))
if owned then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_ms + ttl_ms), ARGV[4])
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', last[2] - now_ms))
end
return {1, stored}
