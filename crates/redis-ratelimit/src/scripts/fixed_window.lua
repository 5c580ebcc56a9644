#!lua
-- fixed_window: take units of the open window, up to what is left, or none.
-- KEYS[1] window     string, decimal count; its TTL is what is left of the window; absent = none open
-- ARGV[1] least      units below which none is taken, 1 to 2^53
-- ARGV[2] most       units to take, 0 (look only) to 2^53
-- ARGV[3] limit      units per window, 1 to 2^53
-- ARGV[4] period_ms  length of a window, 1 to 2^53
-- returns  {units taken, units left, ms until `least` are left (0 = they are), ms until the window ends,
--          ms since the epoch when the window ends, 0 if none is taken}
-- replay   a second run takes again: it can only refuse more, never admit more
local least, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local limit, period_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local used = math.min(tonumber(redis.call('GET', KEYS[1]) or 0), limit)
local ttl_ms = redis.call('PTTL', KEYS[1])
local left, taken, wait_ms = limit - used, 0, 0
-- A key without a TTL is treated as a window that opens now; -2 is no key.
local ends_ms = ttl_ms < 0 and period_ms or math.max(ttl_ms, 1)

if left >= least then taken = math.min(most, left) else wait_ms = ends_ms end
if ttl_ms == -2 and taken == 0 then ends_ms = 0 end

if taken > 0 then redis.call('INCRBY', KEYS[1], string.format('%.0f', taken)) end
-- NX: concurrent requests do not extend the window, and a key that lost its TTL gets one again.
if ttl_ms < 0 then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', period_ms), 'NX') end
return {taken, left - taken, wait_ms, ends_ms, taken > 0 and redis.call('PEXPIRETIME', KEYS[1]) or 0}
