#!lua
-- update: replace the value of a session that is there; its deadline stays.
-- KEYS[1] session  string: the deadline (13 digits of ms since 1970), then the value
-- ARGV[1] now_us   microseconds since 1970, or 0 for the server's time
-- ARGV[2] value    bytes
-- ARGV[3] idle_ms  how long it lives without use, 1 to 2^40
-- returns  1 replaced | 0 it is gone
-- replay   a second run writes the same, or over what came in between
local deadline = redis.call('GETRANGE', KEYS[1], 0, 12)
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local left_ms = (tonumber(deadline) or 0) - math.floor(now_us / 1000)
if left_ms <= 0 then return 0 end
local ttl = string.format('%.0f', math.min(tonumber(ARGV[3]), left_ms))
redis.call('SET', KEYS[1], deadline .. ARGV[2], 'PX', ttl)
return 1
