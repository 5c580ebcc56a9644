#!lua flags=allow-oom
-- token_consume: give a token's value to the first who brings it with all it is bound to.
-- KEYS[1] place    hash: token, stamp, browser, value; absent = no token is active
-- ARGV[1] token    SHA-256 of the secret, bytes
-- ARGV[2] stamp    hash of what must not have changed, or empty
-- ARGV[3] browser  hash of what the browser holds, or empty
-- returns  {1, value} consumed | {0, nil} unknown | {2, nil} another stamp | {3, nil} another browser
-- replay   a second run answers 0 and writes nothing
local there = redis.call('HMGET', KEYS[1], 'token', 'stamp', 'browser', 'value')
if there[1] ~= ARGV[1] then return {0, false} end
if there[2] ~= ARGV[2] then return {2, false} end
if there[3] ~= ARGV[3] then return {3, false} end
redis.call('DEL', KEYS[1])
return {1, there[4]}
