#!lua
-- schedule: add a job that waits until it is due.
-- KEYS[1] delayed   sorted set, envelope by when it is due in ms
-- KEYS[2] wake      channel: when the next delayed job is due
-- ARGV[1] clock_us  0 = the server's time
-- ARGV[2] delay_ms  from now; not looked at if at_ms is given
-- ARGV[3] at_ms     milliseconds since 1970, 0 = not given
-- ARGV[4] job       envelope
-- returns  {1, delayed jobs}
-- replay   a second run with at_ms changes nothing; with delay_ms it moves the job further off
local now_us, at_ms = tonumber(ARGV[1]), tonumber(ARGV[3])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local due_ms = at_ms
if at_ms == 0 then due_ms = math.floor(now_us / 1000) + tonumber(ARGV[2]) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')

redis.call('ZADD', KEYS[1], string.format('%.0f', due_ms), ARGV[4])
-- Workers sleep until the first is due; only an earlier one needs to wake them.
if #first == 0 or tonumber(first[2]) > due_ms then
  redis.call('SPUBLISH', KEYS[2], string.format('%.0f', due_ms))
end
return {1, redis.call('ZCARD', KEYS[1])}
