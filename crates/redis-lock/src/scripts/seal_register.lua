#!lua
-- seal_register: refuse every lower fence from now on.
-- KEYS[1] register  hash: fence (decimal), value; absent = nothing seen
-- ARGV[1] fence     1 to 2^53 - 1
-- ARGV[2] keep_ms   how long the register is kept from now on
-- returns  {1 admitted | 2 stale, the highest fence seen}
-- replay   a second run answers the same
local highest = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
if tonumber(ARGV[1]) < highest then return {2, string.format('%.0f', highest)} end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, ARGV[1]}
