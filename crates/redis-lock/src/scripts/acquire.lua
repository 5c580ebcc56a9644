#!lua
-- acquire: take the lock if it is free, and issue its next fence in the same step.
-- KEYS[1] lock       string "token:fence"; its TTL is what is left of the lease; absent = free
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] token      names this request: no colon in it
-- ARGV[3] lease_ms   how long the lock is held, at least 1
-- ARGV[4] memory_ms  how long the fence is remembered, at least lease_ms
-- returns  {0 busy | 1 granted | 2 held by this token already | 3 no fence left, fence, ms left of the lease}
-- replay   a second run answers 2 with the same fence and writes nothing
local now_us, token, lease_ms, memory_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]

local holder = redis.call('GET', KEYS[1])
if holder then
  local left_ms = redis.call('PTTL', KEYS[1])
  local owner, fence = string.match(holder, '^([^:]*):(%d+)$')
  local mine = owner == token
  -- A lock that lost its TTL would be held for ever.
  if left_ms < 0 then
    redis.call('PEXPIRE', KEYS[1], lease_ms)
    left_ms = lease_ms
  end
  return {mine and 2 or 0, mine and fence or '0', left_ms}
end

if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
-- What is no number was not written here, and is taken for forgotten.
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
-- Past 2^53 - 1 two fences could be the same number.
if last >= 9007199254740991 then return {3, '0', 0} end
local fence = string.format('%.0f', math.max(last + 1, now_us))

redis.call('SET', KEYS[2], fence, 'PX', memory_ms)
redis.call('SET', KEYS[1], token .. ':' .. fence, 'PX', lease_ms)
return {1, fence, lease_ms}
