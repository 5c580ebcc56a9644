#!lua
-- code_issue: put a new code in its identity's place, unless the last one is too fresh.
-- KEYS[1] place     hash: issue, mac, tries, value; lives as long as the code
-- KEYS[2] failures  integer: wrong guesses of this identity; absent = none; lives as long as the window
-- ARGV[1] issue     random bytes that name this call
-- ARGV[2] mac       HMAC of the code, bytes
-- ARGV[3] value     bytes
-- ARGV[4] ttl_ms    how long it lives, 1 to 2^40
-- ARGV[5] stale_ms  what is left at most of one that may be replaced, 0 to ttl_ms
-- ARGV[6] budget    wrong guesses that lock the identity, at least 1
-- returns  {1, 0} it is there | {0, wait_ms} too soon, or locked
-- replay   a second run answers 1 and writes nothing
if redis.call('HGET', KEYS[1], 'issue') == ARGV[1] then return {1, 0} end
local wait_ms = redis.call('PTTL', KEYS[1]) - tonumber(ARGV[5])
if (tonumber(redis.call('GET', KEYS[2])) or 0) >= tonumber(ARGV[6]) then
  wait_ms = math.max(wait_ms, redis.call('PTTL', KEYS[2]), 1)
end
if wait_ms > 0 then return {0, wait_ms} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'issue', ARGV[1], 'mac', ARGV[2], 'tries', 0, 'value', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, 0}
