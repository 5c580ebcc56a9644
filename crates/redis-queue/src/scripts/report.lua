#!lua flags=allow-oom
-- report: note how far a job is, or what came of it, for whoever asked to be told.
-- KEYS[1] result    hash: state, delivery, value; also the channel that tells of a change
-- ARGV[1] delivery  which hand-out of the job this is
-- ARGV[2] state     running, done or dead
-- ARGV[3] value     the progress, the result or the reason
-- ARGV[4] keep_ms   how long it is kept from now
-- returns  1 noted | 0 it was done before, or a later hand-out has reported
-- replay   a second run notes the same again
local known = redis.call('HMGET', KEYS[1], 'state', 'delivery')
if known[1] == 'done' and ARGV[2] ~= 'done' then return 0 end
if tonumber(known[2] or 0) > tonumber(ARGV[1]) then return 0 end

redis.call('HSET', KEYS[1], 'state', ARGV[2], 'delivery', ARGV[1], 'value', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SPUBLISH', KEYS[1], ARGV[2])
return 1
