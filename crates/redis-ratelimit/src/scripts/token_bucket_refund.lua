#!lua flags=allow-oom
-- token_bucket_refund: take off a debt what has not come back of it yet.
-- KEYS[1] bucket   string "debt:at", parts missing from the full bucket, and when, us; absent = full
-- ARGV[1] now_us   microseconds since the epoch, 0 = the server's time
-- ARGV[2] full_us  when the bucket would have been full after the take, as the take answered it
-- ARGV[3] units    to give back, 1 to 2^52
-- ARGV[4] parts    parts of a unit
-- ARGV[5] drain    parts that come back in a microsecond
-- returns  units given back, the last one perhaps in part; 0 if all had come back
-- replay   a second run gives back again, never more than is owed
local now_us, full_us, units = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local parts, drain = tonumber(ARGV[4]), tonumber(ARGV[5])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local debt, at = string.match(redis.call('GET', KEYS[1]) or '0:0', '^(%d+):(%d+)$')
debt, at = tonumber(debt), tonumber(at)
debt = math.max(debt - math.max(now_us - at, 0) * drain, 0)
-- What came back since the take came back of its debt too: only the rest is still held for it.
local back = math.min(units * parts, (full_us - now_us) * drain, debt)
if back <= 0 then return 0 end

debt = debt - back
local ttl_ms = string.format('%.0f', math.ceil(debt / drain / 1000) + 1)
redis.call('SET', KEYS[1], string.format('%.0f:%.0f', debt, now_us), 'PX', ttl_ms)
return math.ceil(back / parts)
