#!lua flags=no-writes
-- heads: read the beginnings of sessions that are in a user's index.
-- KEYS[1] index        sorted set of the user's sessions by when they end in ms
-- KEYS[2..n] sessions  strings, see create; 1 to 100
-- ARGV[1..n] members   their names in the index, in the same order
-- returns  {ms it has left, its first 1058 bytes, or ms below 1 and "" if it is gone; per session}
-- replay   a second run reads the same
local found = {}
for index = 2, #KEYS do
  local left_ms, head = 0, ''
  if redis.call('ZSCORE', KEYS[1], ARGV[index - 1]) then
    left_ms = redis.call('PTTL', KEYS[index])
    head = redis.call('GETRANGE', KEYS[index], 0, 1057)
  end
  found[index - 1] = {left_ms, head}
end
return found
