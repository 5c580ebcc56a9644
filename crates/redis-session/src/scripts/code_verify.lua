#!lua
-- code_verify: count a guess, then compare it.
-- KEYS[1] place      hash: issue, mac, tries, value; without a mac = no code is active
-- KEYS[2] failures   integer: wrong guesses of this identity; absent = none; lives as long as the window
-- ARGV[1] mac        HMAC of the guess, bytes
-- ARGV[2] attempts   guesses at one code, at least 1
-- ARGV[3] budget     wrong guesses that lock the identity, at least 1
-- ARGV[4] window_ms  how long after the first wrong guess they are forgotten, 1 to 2^40
-- returns  {1, value} right | {2, guesses left} wrong | {0, nil} no code | {3, wait_ms} locked
-- replay   a second run counts again; after a right guess it answers 0 and writes nothing
local failures = tonumber(redis.call('GET', KEYS[2])) or 0
local attempts, budget = tonumber(ARGV[2]), tonumber(ARGV[3])
if failures >= budget then return {3, redis.call('PTTL', KEYS[2])} end
local mac = redis.call('HGET', KEYS[1], 'mac')
if not mac then return {0, false} end
local tries = (tonumber(redis.call('HGET', KEYS[1], 'tries')) or 0) + 1
-- As many as are allowed now were made while more were.
if tries > attempts then
  redis.call('HDEL', KEYS[1], 'mac', 'value')
  return {0, false}
end
redis.call('HINCRBY', KEYS[1], 'tries', 1)
local right = mac == ARGV[1]
local detail = math.min(attempts - tries, budget - failures - 1)
if right then
  detail = redis.call('HGET', KEYS[1], 'value')
  redis.call('DEL', KEYS[1], KEYS[2])
else
  redis.call('INCR', KEYS[2])
  if failures == 0 then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
  -- The rest of the record stays: it says when the next code may be sent.
  if tries >= attempts then redis.call('HDEL', KEYS[1], 'mac', 'value') end
end
return {right and 1 or 2, detail}
