#!lua flags=allow-oom
-- release: put a job that a worker holds back to the front of the queue.
-- KEYS[1] leases       sorted set of registered incarnations
-- KEYS[2] processing   list of what this incarnation holds, newest at the left
-- KEYS[3] pending      list of jobs that wait, the next at the right
-- ARGV[1] incarnation  as registered
-- ARGV[2] held         the envelope exactly as it was taken
-- ARGV[3] back         the envelope to put back: the same job, its counters moved on
-- returns  {1 registered | 0 reaped, 1 put back | 0 not there}
-- replay   a second run answers "not there" and writes nothing
local registered = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[3])
local removed = redis.call('LREM', KEYS[2], -1, ARGV[2])
if removed == 1 then redis.call('RPUSH', KEYS[3], ARGV[3]) end
return {registered, removed}
