#!lua flags=allow-oom
-- bury: move a job that a worker holds to the dead letters, with the reason.
-- KEYS[1] leases       sorted set of registered incarnations
-- KEYS[2] processing   list of what this incarnation holds, newest at the left
-- KEYS[3] dead         stream of dead letters: job, why
-- ARGV[1] incarnation  as registered
-- ARGV[2] held         the element exactly as it was taken
-- ARGV[3] job          the same with its counters moved on
-- ARGV[4] why          a short text
-- ARGV[5] max_dead     about how many dead letters are kept
-- returns  {1 registered | 0 reaped, 1 buried | 0 not there}
-- replay   a second run answers "not there" and writes nothing
local registered = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
-- Read for its type alone: past the first write nothing may fail.
redis.call('XLEN', KEYS[3])
local removed = redis.call('LREM', KEYS[2], -1, ARGV[2])
if removed == 1 then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'job', ARGV[3], 'why', ARGV[4]) end
return {registered, removed}
