#!lua
-- replay: take a job out of the dead letters and put it behind all that wait.
-- KEYS[1] dead     stream of dead letters: job, why
-- KEYS[2] pending  list of jobs that wait, newest at the left
-- ARGV[1] letter   id of the dead letter
-- ARGV[2] job      the envelope to put back: the same job, its failures forgotten
-- returns  {1 waits again | 0 no such letter}
-- replay   a second run answers 0 and writes nothing
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[2])
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return {0} end

redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('LPUSH', KEYS[2], ARGV[2])
return {1}
