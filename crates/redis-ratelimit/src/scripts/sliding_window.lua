#!lua
-- sliding_window: take units unless the buckets of the trailing period hold too many, or none.
-- KEYS[1] window    hash of bucket number (time / width) to units; absent = all empty
-- ARGV[1] now_us    microseconds since the epoch, 0 = the server's time
-- ARGV[2] least     units below which none is taken, 1 to 2^51
-- ARGV[3] most      units to take, 0 (look only) to 2^53
-- ARGV[4] limit     units in any period, 1 to 2^51
-- ARGV[5] width_us  length of a bucket, 1 to 2^52
-- ARGV[6] buckets   how many make a period, 1 to 1000
-- returns  {units taken, units left, us until `least` are left (0 = they are), us until none is held,
--          number of the bucket of this take}
-- replay   a second run takes again: it can only refuse more, never admit more
local now_us, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, width_us, buckets = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local current = math.floor(now_us / width_us)
-- The bucket that is `buckets` back may reach into the trailing period, so it counts whole.
local oldest = current - buckets
local stored, held, stale = redis.call('HGETALL', KEYS[1]), {}, {}
local used, newest = 0, oldest - 1
for i = 1, #stored, 2 do
  local number, units = tonumber(stored[i]), tonumber(stored[i + 1])
  if number < oldest then
    stale[#stale + 1] = stored[i]
  else
    held[number], used, newest = units, used + units, math.max(newest, number)
  end
end
local left, taken, wait_us = math.max(limit - used, 0), 0, 0

if left >= least then
  taken = math.min(most, left)
else
  local freed = 0
  wait_us = (newest + buckets + 1) * width_us - now_us
  for i = 0, buckets do
    freed = freed + (held[oldest + i] or 0)
    if freed >= used + least - limit then
      wait_us = (oldest + i + buckets + 1) * width_us - now_us
      break
    end
  end
end
if taken > 0 then newest = math.max(newest, current) end
local held_us = math.max((newest + buckets + 1) * width_us - now_us, 0)

if taken > 0 then
  for i = 1, #stale do redis.call('HDEL', KEYS[1], stale[i]) end
  redis.call('HINCRBY', KEYS[1], string.format('%.0f', current), string.format('%.0f', taken))
end
-- One more than needed, so that no part of a millisecond is forgiven.
if taken > 0 or redis.call('PTTL', KEYS[1]) == -1 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(held_us / 1000) + 1))
end
return {taken, left - taken, wait_us, held_us, current}
