#!lua flags=allow-oom
-- force_release: take the lock from a holder of this fence or a lower one.
-- KEYS[1] lock   string "token:fence"; absent = free
-- ARGV[1] fence  the highest that may be freed, 1 to 2^53 - 1
-- returns  1 freed | 2 free already | 3 held under a higher fence
-- replay   a second run answers 2 or 3 and writes nothing
local holder = redis.call('GET', KEYS[1])
if not holder then return 2 end
if tonumber(string.match(holder, ':(%d+)$') or 0) > tonumber(ARGV[1]) then return 3 end
redis.call('DEL', KEYS[1])
return 1
