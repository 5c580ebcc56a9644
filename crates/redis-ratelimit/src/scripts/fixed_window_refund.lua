#!lua flags=allow-oom
-- fixed_window_refund: give units back to the window they were taken from, if it is still open.
-- KEYS[1] window   string, decimal count; its TTL is what is left of the window; absent = none open
-- ARGV[1] ends_ms  when the window ends, ms since the epoch, as the take answered it
-- ARGV[2] units    to give back, 1 to 2^53
-- returns  units given back, 0 if that window is over
-- replay   a second run gives back again, never more than the window holds
if redis.call('PEXPIRETIME', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
local back = math.min(tonumber(ARGV[2]), tonumber(redis.call('GET', KEYS[1])))
if back > 0 then redis.call('DECRBY', KEYS[1], string.format('%.0f', back)) end
return back
