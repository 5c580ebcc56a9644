#!lua
-- tower_patch: write what a request changed of a session that is there.
-- KEYS[1] session    hash: expiry, and a field for each key of its data; lives until then
-- ARGV[1] expiry     when it ends by the application's clock, which it is told again; text
-- ARGV[2] ttl_ms     how long it lives, at least 1
-- ARGV[3] others     keep = fields not named stay | drop = they go
-- ARGV[4] last       the index of the last value that is set, at least 4
-- ARGV[5..n] fields  name and value of each that is set, then the names of those that go
-- returns  1 written | 0 it is gone
-- replay   a second run writes the same, or over what came in between
if redis.call('HEXISTS', KEYS[1], 'expiry') == 0 then return 0 end
local last = tonumber(ARGV[4])
if ARGV[3] == 'drop' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'expiry', ARGV[1])
for i = 5, last, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
for i = last + 1, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
