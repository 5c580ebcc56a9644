#!lua flags=allow-oom
-- force_release: take the lock from a holder of this fence or a lower one, and write down that it was.
-- KEYS[1] lock       string "token:fence"; absent = free
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- KEYS[3] revoked    list of "fence:time in us:label of who did it", the newest first
-- KEYS[4] channel    told "*": every waiter is to ask again
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] fence      the highest that may be freed, 1 to 2^53 - 1
-- ARGV[3] memory_ms  how long the fence and the list are kept
-- ARGV[4] label      of who does it
-- returns  {1 freed | 2 free already | 3 held under a higher fence, a fence above the holder's}
-- replay   a second run answers 2 or 3 and writes nothing
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local holder = redis.call('GET', KEYS[1])
if not holder then return {2, '0'} end
local held = tonumber(string.match(holder, ':(%d+)$') or 0)
if held > tonumber(ARGV[2]) then return {3, '0'} end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
local above = math.min(math.max(last + 1, held + 1, now_us), 9007199254740991)
local entry = string.format('%.0f:%.0f:', held, now_us) .. ARGV[4]
redis.call('LLEN', KEYS[3])

redis.call('SET', KEYS[2], string.format('%.0f', above), 'PX', ARGV[3])
redis.call('LPUSH', KEYS[3], entry)
redis.call('LTRIM', KEYS[3], 0, 15)
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('SPUBLISH', KEYS[4], '*')
return {1, string.format('%.0f', above)}
