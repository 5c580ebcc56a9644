#!lua flags=allow-oom
-- beat: renew a lease that is not over, and tell what the server knows of this worker.
-- KEYS[1] leases       sorted set, incarnation by the end of its lease in ms
-- KEYS[2] processing   list of what this incarnation holds
-- KEYS[3] delayed      sorted set, envelope by when it is due in ms
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  as registered
-- ARGV[3] lease_ms     how long it may be silent
-- returns  {1 renewed | 0 the lease is over, jobs held, leases of others that are over,
--           ms until the next delayed job is due | -1 there is none}
-- replay   a second run renews again
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local until_ms = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
local held = redis.call('LLEN', KEYS[2])
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local due_in_ms = -1
if #first > 0 then due_in_ms = math.max(0, tonumber(first[2]) - now_ms) end
local over = redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%.0f', now_ms))
if until_ms <= now_ms then return {0, held, over, due_in_ms} end

redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + tonumber(ARGV[3])), ARGV[2])
return {1, held, over, due_in_ms}
