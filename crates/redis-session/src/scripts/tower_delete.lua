#!lua flags=allow-oom
-- tower_delete: end a session, and leave for a while who ended it.
-- KEYS[1] session   hash: expiry and its data, or only the deletions; absent = expired or never there
-- ARGV[1] deletion  random bytes that name this call
-- ARGV[2] keep_ms   how long the deletions stay, at least 1
-- returns  1 ended | 0 it was gone
-- replay   a second run answers 0 and leaves the same
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local there = redis.call('HEXISTS', KEYS[1], 'expiry')
if there == 1 then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[1], '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return there
