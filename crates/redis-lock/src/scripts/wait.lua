#!lua
-- wait: join the queue, or take the lock if it is this one's turn; repeated while waiting.
-- KEYS[1] lock       string "token:fence"; its TTL is what is left of the lease; absent = free
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- KEYS[3] queue      sorted set: tokens by the time they came
-- KEYS[4] alive      sorted set: tokens by the time until which they count as alive
-- KEYS[5] channel    told "token:fence" when that token is given the lock
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] token      names this request: no colon in it
-- ARGV[3] lease_ms   how long the lock is held, at least 1
-- ARGV[4] memory_ms  how long the fence is remembered, at least lease_ms
-- ARGV[5] grant_ms   how long another waiter that is given the lock has to accept it
-- ARGV[6] alive_ms   how long a waiter that says nothing more counts as alive
-- returns  {0 queued | 1 granted | 2 held by this token already | 3 no fence left, fence, ms left of the lease}
-- replay   a second run keeps the place in the queue, or answers 2 with the same fence
local now_us, token, lease_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local grant_ms, alive_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end

local holder = redis.call('GET', KEYS[1])
local left_ms = redis.call('PTTL', KEYS[1])
local owner, held_fence = string.match(holder or '', '^([^:]*):(%d+)$')
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
-- Past 2^53 - 1 two fences could be the same number.
if not holder and last >= 9007199254740991 then return {3, '0', 0} end
local fence = string.format('%.0f', math.max(last + 1, now_us))

-- Whose turn it is if the lock is free: the first in the queue that is alive, else this one.
local turn, dead = token, {}
if not holder then
  local heads = redis.call('ZRANGE', KEYS[3], 0, 63)
  for _, waiter in ipairs(heads) do
    turn = waiter
    if waiter == token or tonumber(redis.call('ZSCORE', KEYS[4], waiter) or 0) >= now_us then break end
    dead[#dead + 1] = waiter
    turn = token
  end
end
local code = 0
if owner == token then code = 2 elseif not holder and turn == token then code = 1 end

for i = 1, #dead do
  redis.call('ZREM', KEYS[3], dead[i])
  redis.call('ZREM', KEYS[4], dead[i])
end
if not holder then
  left_ms = turn == token and lease_ms or grant_ms
  redis.call('SET', KEYS[2], fence, 'PX', ARGV[4])
  redis.call('SET', KEYS[1], turn .. ':' .. fence, 'PX', left_ms)
  redis.call('ZREM', KEYS[3], turn)
  redis.call('ZREM', KEYS[4], turn)
  if turn ~= token then redis.call('SPUBLISH', KEYS[5], turn .. ':' .. fence) end
elseif code == 2 then
  redis.call('ZREM', KEYS[3], token)
  redis.call('ZREM', KEYS[4], token)
end
-- A grant in answer to a release is short; and a lock that lost its TTL would be held for ever.
if left_ms < 0 or (code == 2 and left_ms < lease_ms) then
  redis.call('PEXPIRE', KEYS[1], lease_ms)
  left_ms = lease_ms
end
if code == 0 then
  redis.call('ZADD', KEYS[3], 'NX', now_us, token)
  redis.call('ZADD', KEYS[4], now_us + alive_ms * 1000, token)
  -- Who waits says so more often than this.
  redis.call('PEXPIRE', KEYS[3], 2 * alive_ms)
  redis.call('PEXPIRE', KEYS[4], 2 * alive_ms)
end
return {code, code == 2 and held_fence or fence, left_ms}
