#!lua
-- update: replace the value of a session that is there; its deadline stays, its idle time begins anew.
-- KEYS[1] session   string, see create
-- KEYS[2] index     sorted set of the user's sessions by when they end in ms
-- ARGV[1] now_us    microseconds since 1970, or 0 for the server's time
-- ARGV[2] idle_ms   how long it lives without use, 1 to 2^40
-- ARGV[3] member    its name in the index; a user's session that is not there has been revoked
-- ARGV[4] expected  the version that it must have, or empty for any
-- ARGV[5] version   the one that it gets, 16 bytes
-- ARGV[6] value     bytes
-- returns  1 replaced | 2 it had this version before | 3 it has another version | 0 it is gone
-- replay   a second run of one that expects a version answers 2, or 3 if another came after it, and
--          writes nothing; of one that takes any, writes the same, or over what came in between
local head = redis.call('GETRANGE', KEYS[1], 0, 1057)
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local deadline_ms, device = tonumber(string.sub(head, 1, 13)), tonumber(string.sub(head, 57, 59))
if not deadline_ms or not device or deadline_ms <= now_ms then return 0 end
local owned, version = string.sub(head, 56, 56) == 'u', string.sub(head, 40, 55)
if owned and not redis.call('ZSCORE', KEYS[2], ARGV[3]) then return 0 end
if ARGV[4] ~= '' and version == ARGV[5] then return 2 end
if ARGV[4] ~= '' and version ~= ARGV[4] then return 3 end
local ttl_ms = math.min(tonumber(ARGV[2]), deadline_ms - now_ms)
local times = string.sub(head, 1, 26) .. string.format('%013.0f', now_ms)
local rest = ARGV[5] .. string.sub(head, 56, 59 + device) .. ARGV[6]
redis.call('SET', KEYS[1], times .. rest, 'PX', string.format('%.0f', ttl_ms))
if owned then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_ms + ttl_ms), ARGV[3])
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', last[2] - now_ms))
end
return 1
