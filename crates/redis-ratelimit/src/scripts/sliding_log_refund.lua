#!lua flags=allow-oom
-- sliding_log_refund: give back units of one take; as many steps as there were takes since.
-- KEYS[1] log    zset of takes: score when, us; member "before:units", where before is the sum of all
--                units of earlier takes modulo 2^52; absent = none
-- ARGV[1] at_us  when the take was, as it answered it
-- ARGV[2] units  to give back, 1 to 2^51
-- returns  units given back, 0 if the take is gone; of one that is over they make no room
-- replay   a second run gives back again, never more than was taken in that microsecond
local takes = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES')
if not takes[1] or tonumber(takes[2]) ~= tonumber(ARGV[1]) then return 0 end
local function read(member)
  local before, units = string.match(member, '^(%d+):(%d+)$')
  return tonumber(before), tonumber(units)
end
local before, units = read(takes[1])
local back = math.min(tonumber(ARGV[2]), units)

-- The key must not be empty in between, or its TTL is gone: what stays is added before the old goes.
if units > back then
  redis.call('ZADD', KEYS[1], takes[2], string.format('%.0f:%.0f', before, units - back))
end
redis.call('ZREM', KEYS[1], takes[1])
for i = 3, #takes, 2 do
  local later, amount = read(takes[i])
  later = (later - back) % 4503599627370496
  redis.call('ZADD', KEYS[1], takes[i + 1], string.format('%.0f:%.0f', later, amount))
  redis.call('ZREM', KEYS[1], takes[i])
end
return back
