#!lua flags=allow-oom
-- revoke_others: end every session of a user but one, which must be there.
-- KEYS[1] session  string, see create
-- KEYS[2] index    sorted set of the user's sessions by when they end in ms
-- ARGV[1] now_us   microseconds since 1970, or 0 for the server's time
-- ARGV[2] member   the session's name in the index
-- returns  {1 done | 0 the session itself is gone, sessions that were ended}
-- replay   a second run ends what began in between
local head = redis.call('GETRANGE', KEYS[1], 0, 55)
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local now = string.format('%.0f', now_ms)
if (tonumber(string.sub(head, 1, 13)) or 0) <= now_ms then return {0, 0} end
if string.sub(head, 56, 56) ~= 'u' then return {1, 0} end
local ends = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not ends then return {0, 0} end
local others = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') - 1
redis.call('UNLINK', KEYS[2])
redis.call('ZADD', KEYS[2], ends, ARGV[2])
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', ends - now_ms))
return {1, math.max(0, others)}
