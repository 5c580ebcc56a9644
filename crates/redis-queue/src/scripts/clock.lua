#!lua flags=no-writes
-- clock: tell the time of the server that holds a queue.
-- KEYS[1] pending   list of jobs that wait; any key of the queue finds its server
-- ARGV[1] clock_us  0 = the server's time
-- returns  now in ms
-- replay   a read
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
redis.call('EXISTS', KEYS[1])
return string.format('%.0f', math.floor(now_us / 1000))
