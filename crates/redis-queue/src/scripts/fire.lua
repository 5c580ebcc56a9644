#!lua
-- fire: add the job of one tick of a schedule, unless the tick is to come or another replica has.
-- KEYS[1] last      string, the last tick that was fired in ms, or when the schedule was new; its TTL
--                   outlasts the longest time between two ticks
-- KEYS[2] pending   list of jobs that wait, newest at the left
-- ARGV[1] clock_us  0 = the server's time
-- ARGV[2] tick_ms   which tick, 0 = only ask
-- ARGV[3] job       envelope, empty if only asked
-- ARGV[4] keep_ms   how long the last tick is remembered
-- returns  {1 added | 0 not, now in ms, the last tick in ms}
-- replay   a second run answers 0 and adds nothing
local now_us, tick_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now = string.format('%.0f', math.floor(now_us / 1000))
local last = redis.call('GET', KEYS[1])
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[2])
if last and (tick_ms <= tonumber(last) or tick_ms > tonumber(now)) then return {0, now, last} end
if not last and tick_ms > tonumber(now) then return {0, now, '0'} end

if tick_ms == 0 then
  redis.call('SET', KEYS[1], now, 'PX', ARGV[4])
  return {0, now, now}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
redis.call('LPUSH', KEYS[2], ARGV[3])
return {1, now, ARGV[2]}
