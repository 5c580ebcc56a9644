#!lua
-- fixed_window: count one request in the current window, unless the limit is reached.
-- KEYS[1] window     string, decimal count; its TTL is what is left of the window; absent = none open
-- ARGV[1] limit      requests per window, 1 to 2^53
-- ARGV[2] period_ms  length of a window, 1 to 2^53
-- returns  {1 allowed | 0 denied, count in the window, at most the limit, ms until the window ends}
-- replay   a second run counts again: it can only refuse more, never admit more
local limit, period_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
local left_ms = redis.call('PTTL', KEYS[1])
local allowed = count < limit and 1 or 0

if allowed == 1 then count = redis.call('INCR', KEYS[1]) end
-- NX: concurrent requests do not extend the window, and a key that lost its TTL gets one again.
if left_ms < 0 then
  redis.call('PEXPIRE', KEYS[1], period_ms, 'NX')
  left_ms = period_ms
end
return {allowed, math.min(count, limit), left_ms}
