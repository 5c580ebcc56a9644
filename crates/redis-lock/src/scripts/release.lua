#!lua flags=allow-oom
-- release: free the lock if this token still holds it.
-- KEYS[1] lock   string "token:fence"; absent = free
-- ARGV[1] token  no colon in it
-- returns  1 freed | 2 free already | 3 held by another
-- replay   a second run answers 2 or 3 and writes nothing
local holder = redis.call('GET', KEYS[1])
if not holder then return 2 end
if string.match(holder, '^([^:]*):') ~= ARGV[1] then return 3 end
redis.call('DEL', KEYS[1])
return 1
