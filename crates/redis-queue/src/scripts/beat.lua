#!lua flags=allow-oom
-- beat: renew a lease that is not over, and tell what the server knows of this worker.
-- KEYS[1] leases       sorted set, incarnation by the end of its lease in ms
-- KEYS[2] processing   list of what this incarnation holds
-- KEYS[3] delayed      sorted set, envelope by when it is due in ms
-- KEYS[4] beats        sorted set, incarnation by when its next beat is due in ms
-- KEYS[5] graves       sorted set, incarnation by when its lease was ended in ms
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  as registered
-- ARGV[3] lease_ms     how long it may be silent
-- ARGV[4] promise_ms   when the next beat comes at the latest, 0 = nobody may rely on it
-- ARGV[5] young_ms     a grave that is younger is to be looked at again
-- returns  {1 renewed | 0 the lease is over, jobs held, leases that are over and young graves,
--           ms until the next delayed job is due | -1 there is none, others that broke their promise}
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
over = over + redis.call('ZCOUNT', KEYS[5], string.format('%.0f', now_ms - tonumber(ARGV[5])), '+inf')
-- Who was late itself was cut off, or the server was: others may have been for the same reason.
local silent, own_ms = 0, tonumber(redis.call('ZSCORE', KEYS[4], ARGV[2]) or 0)
if own_ms > now_ms then silent = redis.call('ZCOUNT', KEYS[4], '-inf', string.format('%.0f', now_ms)) end
if until_ms <= now_ms then return {0, held, over, due_in_ms, 0} end

redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + tonumber(ARGV[3])), ARGV[2])
if tonumber(ARGV[4]) > 0 then
  redis.call('ZADD', KEYS[4], string.format('%.0f', now_ms + tonumber(ARGV[4])), ARGV[2])
else
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return {1, held, over, due_in_ms, silent}
