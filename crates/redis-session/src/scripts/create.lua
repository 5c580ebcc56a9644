#!lua
-- create: begin a session, if its key is free.
-- KEYS[1] session      string: the deadline (13 digits of ms since 1970), then the value
-- ARGV[1] now_us       microseconds since 1970, or 0 for the server's time
-- ARGV[2] value        bytes
-- ARGV[3] idle_ms      how long it lives without use, 1 to 2^40
-- ARGV[4] absolute_ms  how long it lives at most, 1 to 2^40
-- returns  1 begun | 0 the key is taken
-- replay   a second run answers 0 and writes nothing
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local idle_ms, absolute_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = string.format('%013.0f', math.floor(now_us / 1000) + absolute_ms)
local ttl = string.format('%.0f', math.min(idle_ms, absolute_ms))
redis.call('SET', KEYS[1], deadline .. ARGV[2], 'PX', ttl)
return 1
