#!lua flags=no-writes
-- overdue: name the incarnations in whose lists jobs may be waiting for nobody.
-- KEYS[1] leases        sorted set, incarnation by the end of its lease in ms
-- KEYS[2] graves        sorted set, incarnation by when its lease was ended in ms
-- KEYS[3] beats         sorted set, incarnation by when its next beat is due in ms
-- ARGV[1] clock_us      0 = the server's time
-- ARGV[2] look_back_ms  name the graves that are younger than this
-- ARGV[3] limit         most of each kind to name
-- returns  {{leases that are over}, {young graves}, {the oldest graves}, {those who broke their promise}}
-- replay   a read
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local now, since = string.format('%.0f', now_ms), string.format('%.0f', now_ms - tonumber(ARGV[2]))
return {
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3]),
  redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', since, 'LIMIT', 0, ARGV[3]),
  redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[3]) - 1),
  redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[3]),
}
