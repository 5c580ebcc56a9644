#!lua
-- rotate: give a session that is there another id and another value; its deadline and user stay.
-- KEYS[1] session  string, see create
-- KEYS[2] renamed  the key of the new id, as KEYS[1]; absent
-- KEYS[3] index    sorted set of the user's sessions by when they end in ms
-- ARGV[1] now_us   microseconds since 1970, or 0 for the server's time
-- ARGV[2] idle_ms  how long it lives without use, 1 to 2^40
-- ARGV[3] member   its name in the index; a user's session that is not there has been revoked
-- ARGV[4] renamed  its new name there
-- ARGV[5] expected the version that it must have, or empty for any
-- ARGV[6] version  the one that it gets, 16 bytes
-- ARGV[7] value    bytes
-- returns  1 it has the new id alone | 2 it had it before | 3 it has another version | 0 it is gone
-- replay   a second run answers 2 and writes nothing
local head = redis.call('GETRANGE', KEYS[1], 0, 1057)
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local now_ms = math.floor(now_us / 1000)
local deadline_ms, device = tonumber(string.sub(head, 1, 13)), tonumber(string.sub(head, 57, 59))
if not deadline_ms or not device or deadline_ms <= now_ms then return 0 end
local owned = string.sub(head, 56, 56) == 'u'
if owned and not redis.call('ZSCORE', KEYS[3], ARGV[3]) then return 0 end
if ARGV[5] ~= '' and string.sub(head, 40, 55) ~= ARGV[5] then return 3 end
local ttl_ms = math.min(tonumber(ARGV[2]), deadline_ms - now_ms)
local times = string.sub(head, 1, 26) .. string.format('%013.0f', now_ms)
local rest = ARGV[6] .. string.sub(head, 56, 59 + device) .. ARGV[7]
redis.call('SET', KEYS[2], times .. rest, 'PX', string.format('%.0f', ttl_ms))
redis.call('DEL', KEYS[1])
if owned then
  redis.call('ZREM', KEYS[3], ARGV[3])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now_ms + ttl_ms), ARGV[4])
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[3], string.format('%.0f', last[2] - now_ms))
end
return 1
