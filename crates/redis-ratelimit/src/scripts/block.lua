#!lua
-- block: deny a subject for a while, at least as long as it is denied already.
-- KEYS[1..n] block  string of no bytes; its TTL is what is left of the block; absent = not blocked
-- ARGV[1] ms  how long, 1 to 2^53
-- returns  {ms until each block ends}
-- replay   a second run blocks until as long after itself
local for_ms, left_ms = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  left_ms[i] = redis.call('PTTL', key)
end
for i, key in ipairs(KEYS) do
  if left_ms[i] < for_ms then
    redis.call('SET', key, '', 'PX', ARGV[1])
    left_ms[i] = for_ms
  end
end
return left_ms
