#!lua
-- rotate: give a session that is there another id and another value; its deadline stays.
-- KEYS[1] session  string: the deadline (13 digits of ms since 1970), then the value
-- KEYS[2] renamed  the key of the new id, as KEYS[1]; absent
-- ARGV[1] now_us   microseconds since 1970, or 0 for the server's time
-- ARGV[2] value    bytes
-- ARGV[3] idle_ms  how long it lives without use, 1 to 2^40
-- returns  1 it has the new id alone | 2 it had it before | 0 it is gone
-- replay   a second run answers 2 and writes nothing
local deadline = redis.call('GETRANGE', KEYS[1], 0, 12)
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local left_ms = (tonumber(deadline) or 0) - math.floor(now_us / 1000)
if left_ms <= 0 then return 0 end
local ttl = string.format('%.0f', math.min(tonumber(ARGV[3]), left_ms))
redis.call('SET', KEYS[2], deadline .. ARGV[2], 'PX', ttl)
redis.call('DEL', KEYS[1])
return 1
