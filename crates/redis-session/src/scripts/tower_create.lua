#!lua
-- tower_create: begin a session of tower-sessions, if its key is free.
-- KEYS[1] session    hash: expiry, and a field for each key of its data; lives until then
-- ARGV[1] expiry     when it ends by the application's clock, which it is told again; text
-- ARGV[2] ttl_ms     how long it lives, at least 1
-- ARGV[3..n] fields  name and value in turn
-- returns  1 begun | 0 the key is taken
-- replay   a second run answers 0 and writes nothing
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'expiry', ARGV[1])
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
