#!lua flags=allow-oom
-- ack: remove jobs that are done from the list of what a worker holds.
-- KEYS[1] leases       sorted set of registered incarnations
-- KEYS[2] processing   list of what this incarnation holds, newest at the left
-- ARGV[1] incarnation  as registered
-- ARGV[2..n] jobs      envelopes exactly as they were taken; 1 to 1000
-- returns  {1 registered | 0 reaped, {1 removed | 0 not there, per job}}
-- replay   a second run answers "not there"; together with "registered" that means removed before
local registered = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
local removed = {}
for index = 2, #ARGV do
  -- From the right: the oldest stands there and is usually the first to be done.
  removed[index - 1] = redis.call('LREM', KEYS[2], -1, ARGV[index])
end
return {registered, removed}
