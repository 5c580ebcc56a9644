#!lua
-- token_issue: put a new token in its subject's place, unless the last one is too fresh.
-- KEYS[1] place     hash: token, stamp, browser, value; lives as long as the token
-- ARGV[1] token     SHA-256 of the secret, bytes
-- ARGV[2] stamp     hash of what must not change, or empty
-- ARGV[3] browser   hash of what the browser holds, or empty
-- ARGV[4] value     bytes
-- ARGV[5] ttl_ms    how long it lives, 1 to 2^40
-- ARGV[6] stale_ms  what is left at most of one that may be replaced, 0 to ttl_ms
-- returns  {1, 0} it is there | {0, wait_ms} too soon
-- replay   a second run answers 1 and writes nothing
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then return {1, 0} end
local wait_ms = redis.call('PTTL', KEYS[1]) - tonumber(ARGV[6])
if wait_ms > 0 then return {0, wait_ms} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'stamp', ARGV[2], 'browser', ARGV[3], 'value', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1, 0}
