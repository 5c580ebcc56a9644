#!lua flags=no-writes
-- inspect: who holds the lock, and how many wait.
-- KEYS[1] lock   string "token:fence"; its TTL is what is left of the lease; absent = free
-- KEYS[2] queue  sorted set: tokens by the time they came
-- returns  {0 free | 1 held, fence, ms left of the lease, tokens in the queue}
-- replay   a second run answers the state of then
local holder = redis.call('GET', KEYS[1])
local queued = redis.call('ZCARD', KEYS[2])
if not holder then return {0, '0', 0, queued} end
local fence = string.match(holder, ':(%d+)$') or '0'
return {1, fence, math.max(redis.call('PTTL', KEYS[1]), 0), queued}
