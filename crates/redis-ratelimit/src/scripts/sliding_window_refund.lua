#!lua flags=allow-oom
-- sliding_window_refund: give units back to the bucket they were taken from, if it is still held.
-- KEYS[1] window  hash of bucket number (time / width) to units; absent = all empty
-- ARGV[1] bucket  number of the bucket, as the take answered it
-- ARGV[2] units   to give back, 1 to 2^51
-- returns  units given back, 0 if the bucket is gone; of one that is over they make no room
-- replay   a second run gives back again, never more than the bucket holds
local held = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local back = math.min(tonumber(ARGV[2]), held)
if back <= 0 then return 0 end

if back == held then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HINCRBY', KEYS[1], ARGV[1], string.format('%.0f', -back))
end
return back
