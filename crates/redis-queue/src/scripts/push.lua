#!lua
-- push: add jobs behind all that wait, if there is room for every one of them.
-- KEYS[1] pending  list of envelopes, newest at the left; no TTL, a waiting job must not vanish
-- ARGV[1] max_len  most jobs that may wait, 0 = any number
-- ARGV[2..n] jobs  envelopes, the first to run first; 1 to 1000
-- returns  {1 added | 0 full, jobs that wait now}
-- replay   a second run adds the jobs again
local max_len = tonumber(ARGV[1])
local depth = redis.call('LLEN', KEYS[1])
if max_len > 0 and depth + #ARGV - 1 > max_len then return {0, depth} end

for i = 2, #ARGV, 500 do depth = redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 499, #ARGV))) end
return {1, depth}
