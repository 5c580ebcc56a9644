#!lua
-- settle: make the fence that a quorum chose this grant's, if its token still holds the lock.
-- KEYS[1] lock       string "token:fence"; absent = free
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- ARGV[1] token      no colon in it
-- ARGV[2] chosen     at least the fence of this grant, up to 2^53 - 1
-- ARGV[3] memory_ms  how long the fence is remembered
-- returns  1 settled | 2 not held by this token
-- replay   a second run settles the same
if string.match(redis.call('GET', KEYS[1]) or '', '^([^:]*):') ~= ARGV[1] then return 2 end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
local highest = string.format('%.0f', math.max(last, tonumber(ARGV[2])))

redis.call('SET', KEYS[2], highest, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'KEEPTTL')
return 1
