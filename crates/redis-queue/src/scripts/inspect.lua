#!lua flags=no-writes
-- inspect: count the jobs of a queue by state.
-- KEYS[1] pending   list of jobs that wait, the next at the right
-- KEYS[2] delayed   sorted set, envelope by when it is due in ms
-- KEYS[3] dead      stream of dead letters
-- KEYS[4] leases    sorted set, incarnation by the end of its lease in ms
-- ARGV[1] clock_us  0 = the server's time
-- returns  {now in ms, waiting, delayed, dead, {incarnation, end of its lease in ms, ..}, the next job | nil}
-- replay   a read
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
return {
  string.format('%.0f', math.floor(now_us / 1000)),
  redis.call('LLEN', KEYS[1]),
  redis.call('ZCARD', KEYS[2]),
  redis.call('XLEN', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, 999, 'WITHSCORES'),
  redis.call('LINDEX', KEYS[1], -1),
}
