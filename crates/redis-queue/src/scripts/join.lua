#!lua flags=allow-oom
-- join: register a worker incarnation, so that the reaper knows where to look for its jobs.
-- KEYS[1] leases       sorted set, incarnation by the end of its lease in ms
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  32 hexadecimal digits, new for each start
-- ARGV[3] lease_ms     how long it may be silent
-- returns  1
-- replay   a second run renews the lease
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local until_ms = math.floor(now_us / 1000) + tonumber(ARGV[3])

redis.call('ZADD', KEYS[1], string.format('%.0f', until_ms), ARGV[2])
return 1
