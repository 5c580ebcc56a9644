#!lua flags=no-writes
-- inspect: who holds the lock, how many wait, and who was made to give it up lately.
-- KEYS[1] lock     string "token:fence"; its TTL is what is left of the lease; absent = free
-- KEYS[2] queue    sorted set: tokens by the time they came
-- KEYS[3] revoked  list of "fence:time in us:label of who did it", the newest first
-- ARGV[1] now_us   microseconds since the epoch; 0 = the server's time
-- returns  {0 free | 1 held, fence, ms left of the lease, tokens in the queue, {time in us, label}, revoked}
-- replay   a second run answers the state of then
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local holder = redis.call('GET', KEYS[1])
local queued = redis.call('ZCARD', KEYS[2])
local revoked = redis.call('LRANGE', KEYS[3], 0, 15)
local now = string.format('%.0f', now_us)
if not holder then return {0, '0', 0, queued, {now, ''}, revoked} end
-- What is behind the @ of a token is the holder's label; the rest is its secret.
local label = string.match(holder, '@([^:]*):') or ''
local fence = string.match(holder, ':(%d+)$') or '0'
return {1, fence, math.max(redis.call('PTTL', KEYS[1]), 0), queued, {now, label}, revoked}
