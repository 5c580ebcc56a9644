#!lua
-- resolve: replace a record that is in doubt, if it is still the one that the caller saw.
-- KEYS[1] record   packed, see record.rs; bytes 3 to 19 are its state and owner
-- ARGV[1] seen     state and owner that the caller saw
-- ARGV[2] settled  the packed record to put there
-- ARGV[3] ttl_ms   how long it is kept, 1 to 2^53
-- returns  1 replaced | 0 another record, or none
-- replay   a second run answers 0 and writes nothing
if redis.call('GETRANGE', KEYS[1], 3, 19) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
