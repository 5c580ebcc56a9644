#!lua flags=allow-oom
-- promote: move delayed jobs that are due behind all that wait, the earliest first.
-- KEYS[1] delayed   sorted set, envelope by when it is due in ms
-- KEYS[2] pending   list of jobs that wait, newest at the left
-- ARGV[1] clock_us  0 = the server's time
-- ARGV[2] limit     most jobs to move in this call, 1 to 500
-- returns  {jobs moved, ms until the next is due | -1 none is left}
-- replay   a second run moves what is due by then
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local now = string.format('%.0f', now_ms)
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
local after = redis.call('ZRANGE', KEYS[1], #due, #due, 'WITHSCORES')
local due_in_ms = -1
if #after > 0 then due_in_ms = math.max(0, tonumber(after[2]) - now_ms) end

if #due > 0 then
  redis.call('ZREM', KEYS[1], unpack(due, 1, #due))
  redis.call('LPUSH', KEYS[2], unpack(due, 1, #due))
end
return {#due, due_in_ms}
