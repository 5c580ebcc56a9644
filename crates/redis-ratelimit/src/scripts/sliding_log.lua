#!lua
-- sliding_log: take units unless the trailing period holds too many, up to what is left, or none.
-- KEYS[1] log        zset of takes: score when, us; member "before:units", where before is the sum of
--                    all units of earlier takes modulo 2^52; absent = none
-- ARGV[1] now_us     microseconds since the epoch, 0 = the server's time
-- ARGV[2] least      units below which none is taken, 1 to 2^51
-- ARGV[3] most       units to take, 0 (look only) to 2^53
-- ARGV[4] limit      units in any period, 1 to 2^51
-- ARGV[5] period_us  length of the trailing window, 1000 to 2^52
-- returns  {units taken, units left, us until `least` are left (0 = they are), us until none is held,
--          us since the epoch of this take}
-- replay   a second run takes again: it can only refuse more, never admit more
local now_us, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, period_us = tonumber(ARGV[4]), tonumber(ARGV[5])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local function read(member)
  local before, units = string.match(member, '^(%d+):(%d+)$')
  return tonumber(before), tonumber(units)
end

local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local last_us, last_before, last_units = 0, 0, 0
if last[1] then
  last_us, last_before, last_units = tonumber(last[2]), read(last[1])
end
-- A clock that was set back stands still here until it has caught up: the order of takes is kept.
now_us = math.max(now_us, last_us)
local over = string.format('%.0f', now_us - period_us)
local first = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. over, '+inf', 'LIMIT', 0, 1)[1]
local first_before = first and read(first) or 0
local sum = (last_before + last_units) % 4503599627370496
local used = first and (sum - first_before) % 4503599627370496 or 0
local left, taken, wait_us = math.max(limit - used, 0), 0, 0

if left >= least then
  taken = math.min(most, left)
else
  -- The first take whose end, with that of all before it, frees enough: by halves, since the sums rise.
  local low = redis.call('ZCOUNT', KEYS[1], '-inf', over)
  local high = redis.call('ZCARD', KEYS[1]) - 1
  for _ = 1, 53 do
    if low >= high then break end
    local middle = math.floor((low + high) / 2)
    local before, units = read(redis.call('ZRANGE', KEYS[1], middle, middle)[1])
    local freed = (before + units - first_before) % 4503599627370496
    if freed >= used + least - limit then high = middle else low = middle + 1 end
  end
  wait_us = tonumber(redis.call('ZRANGE', KEYS[1], low, low, 'WITHSCORES')[2]) + period_us - now_us
end
local held_us = taken > 0 and period_us or (used > 0 and last_us + period_us - now_us or 0)

if taken > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', over)
  local before, units = sum, taken
  -- Takes of one microsecond are one entry.
  if last_us == now_us then
    redis.call('ZREM', KEYS[1], last[1])
    before, units = last_before, last_units + taken
  end
  redis.call('ZADD', KEYS[1], string.format('%.0f', now_us), string.format('%.0f:%.0f', before, units))
end
-- One more than needed, so that no part of a millisecond is forgiven.
if taken > 0 or redis.call('PTTL', KEYS[1]) == -1 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(period_us / 1000) + 1))
end
return {taken, left - taken, wait_us, held_us, now_us}
