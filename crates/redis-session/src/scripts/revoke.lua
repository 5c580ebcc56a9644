#!lua flags=allow-oom
-- revoke: end one session.
-- KEYS[1] session  string, see create
-- KEYS[2] index    sorted set of the user's sessions by when they end in ms
-- ARGV[1] member   its name in the index; a user's session that is not there has been revoked
-- returns  1 it was there | 0 it was gone
-- replay   a second run answers 0 and writes nothing
local kind = redis.call('GETRANGE', KEYS[1], 55, 55)
local listed = redis.call('ZREM', KEYS[2], ARGV[1])
local there = redis.call('DEL', KEYS[1])
if kind == 'u' then there = listed end
return there
