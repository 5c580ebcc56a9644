#!lua
-- push_unique: add one job, unless one with the same key was added within the window.
-- KEYS[1] pending    list of envelopes, newest at the left
-- KEYS[2] unique     string, id of the job that was added with this key; its TTL is the window
-- ARGV[1] max_len    most jobs that may wait, 0 = any number
-- ARGV[2] window_ms  how long the key admits no other job
-- ARGV[3] id         16 bytes
-- ARGV[4] job        envelope
-- returns  {1 added | 0 full | 2 a job with this key was added before, jobs that wait now, its id}
-- replay   a second run answers 2 with the id of the first
local max_len = tonumber(ARGV[1])
local first = redis.call('GET', KEYS[2])
local depth = redis.call('LLEN', KEYS[1])
if first then return {2, depth, first} end
if max_len > 0 and depth >= max_len then return {0, depth, ''} end

redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return {1, redis.call('LPUSH', KEYS[1], ARGV[4]), ARGV[3]}
