#!lua
-- raise_permit: issue a fence above one that was seen elsewhere, under the same permits.
-- KEYS[1] holders    hash: token to "weight:fence:end of its lease in us"
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] token      no colon in it
-- ARGV[3] seen       the fence to be above, 1 to 2^53 - 1
-- ARGV[4] memory_ms  how long the fence is remembered
-- returns  {1 raised | 2 not held by this token | 3 no fence left, fence}
-- replay   a second run issues a higher one yet
local now_us, seen = tonumber(ARGV[1]), tonumber(ARGV[3])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local entry = redis.call('HGET', KEYS[1], ARGV[2]) or ''
local weight, until_us = string.match(entry, '^(%d+):%d+:(%d+)$')
if tonumber(until_us or 0) <= now_us then return {2, '0'} end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
local highest = math.max(last, seen)
if highest >= 9007199254740991 then return {3, '0'} end
local fence = string.format('%.0f', math.max(highest + 1, now_us))

redis.call('SET', KEYS[2], fence, 'PX', ARGV[4])
redis.call('HSET', KEYS[1], ARGV[2], weight .. ':' .. fence .. ':' .. until_us)
return {1, fence}
