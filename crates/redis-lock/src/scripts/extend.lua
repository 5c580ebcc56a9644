#!lua flags=allow-oom
-- extend: give the holder a whole lease from now, never a shorter one than it has.
-- KEYS[1] lock      string "token:fence"; absent = free
-- ARGV[1] token     no colon in it
-- ARGV[2] lease_ms  at least 1
-- returns  1 extended | 2 not held by this token
-- replay   a second run extends again, by what has passed since
local lease_ms = tonumber(ARGV[2])
if string.match(redis.call('GET', KEYS[1]) or '', '^([^:]*):') ~= ARGV[1] then return 2 end
if redis.call('PTTL', KEYS[1]) < lease_ms then redis.call('PEXPIRE', KEYS[1], lease_ms) end
return 1
