#!lua flags=allow-oom
-- take: move the jobs that wait longest to a worker whose lease is not over.
-- KEYS[1] leases       sorted set, incarnation by the end of its lease in ms
-- KEYS[2] pending      list of jobs that wait, the next at the right
-- KEYS[3] processing   list of what this incarnation holds, newest at the left
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  as registered
-- ARGV[3] count        most jobs to take, 1 to 1000
-- returns  {1 taken | 0 the lease is over, jobs that still wait, {jobs, the oldest first}}
-- replay   a second run takes more jobs; what nobody knows of is found by the audit
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local until_ms = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
local waiting = redis.call('LLEN', KEYS[2])
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[3])
if until_ms <= math.floor(now_us / 1000) then return {0, waiting, {}} end
if waiting == 0 then return {1, 0, {}} end

local jobs = redis.call('RPOP', KEYS[2], ARGV[3])
for i = 1, #jobs, 500 do redis.call('LPUSH', KEYS[3], unpack(jobs, i, math.min(i + 499, #jobs))) end
return {1, waiting - #jobs, jobs}
