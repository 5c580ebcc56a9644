#!lua
-- write_register: replace the value, unless a higher fence was seen.
-- KEYS[1] register  hash: fence (decimal), value; absent = nothing seen
-- ARGV[1] fence     1 to 2^53 - 1
-- ARGV[2] value     bytes
-- ARGV[3] keep_ms   how long the register is kept from now on
-- returns  {1 admitted | 2 stale, the highest fence seen}
-- replay   a second run writes the same again, unless a higher fence came between
local highest = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
if tonumber(ARGV[1]) < highest then return {2, string.format('%.0f', highest)} end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, ARGV[1]}
