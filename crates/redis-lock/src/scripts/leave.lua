#!lua flags=allow-oom
-- leave: give permits and the place in the queue back, and call those for whom there is room now.
-- KEYS[1] holders  hash: token to "weight:fence:end of its lease in us"
-- KEYS[2] queue    sorted set: "token:weight" by the time they came
-- KEYS[3] alive    sorted set: the same by the time until which they count as alive
-- KEYS[4] channel  told the token of each waiter that is to ask again
-- ARGV[1] now_us   microseconds since the epoch; 0 = the server's time
-- ARGV[2] token    no colon in it
-- ARGV[3] weight   as it entered
-- ARGV[4] limit    permits that there are
-- returns  1 given back | 2 not held by this token
-- replay   a second run answers 2 and calls the same waiters again
local now_us, token, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end

local used, code = 0, 2
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local holds, until_us = string.match(entries[i + 1], '^(%d+):%d+:(%d+)$')
  if tonumber(until_us or 0) > now_us then
    if entries[i] == token then code = 1 else used = used + holds end
  end
end
local me, called = token .. ':' .. ARGV[3], {}
local heads = redis.call('ZRANGE', KEYS[2], 0, 127)
for _, waiter in ipairs(heads) do
  if waiter ~= me and tonumber(redis.call('ZSCORE', KEYS[3], waiter) or 0) >= now_us then
    local name, wants = string.match(waiter, '^([^:]*):(%d+)$')
    used = used + (wants or 0)
    if used > limit then break end
    called[#called + 1] = name
  end
end

redis.call('HDEL', KEYS[1], token)
redis.call('ZREM', KEYS[2], me)
redis.call('ZREM', KEYS[3], me)
for i = 1, #called do redis.call('SPUBLISH', KEYS[4], called[i]) end
return code
