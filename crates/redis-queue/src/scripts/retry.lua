#!lua flags=allow-oom
-- retry: move a job that a worker holds to the delayed jobs.
-- KEYS[1] leases       sorted set of registered incarnations
-- KEYS[2] processing   list of what this incarnation holds, newest at the left
-- KEYS[3] delayed      sorted set, envelope by when it is due in ms
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  as registered
-- ARGV[3] held         the element exactly as it was taken
-- ARGV[4] job          the same job with its counters moved on
-- ARGV[5] delay_ms     from now
-- returns  {1 registered | 0 reaped, 1 delayed | 0 not there}
-- replay   a second run answers "not there" and writes nothing
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local due_ms = math.floor(now_us / 1000) + tonumber(ARGV[5])
local registered = redis.call('ZSCORE', KEYS[1], ARGV[2]) and 1 or 0
-- Read for its type alone: past the first write nothing may fail.
redis.call('ZCARD', KEYS[3])
local removed = redis.call('LREM', KEYS[2], -1, ARGV[3])
if removed == 1 then redis.call('ZADD', KEYS[3], string.format('%.0f', due_ms), ARGV[4]) end
return {registered, removed}
