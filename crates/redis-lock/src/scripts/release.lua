#!lua flags=allow-oom
-- release: free the lock if this token holds it, and give it to the first waiter that is alive.
-- KEYS[1] lock       string "token:fence"; absent = free
-- KEYS[2] fence      string, decimal: the last fence issued; absent = forgotten
-- KEYS[3] queue      sorted set: tokens by the time they came
-- KEYS[4] alive      sorted set: tokens by the time until which they count as alive
-- KEYS[5] channel    told "token:fence" when that token is given the lock
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] token      no colon in it; leaves the queue too
-- ARGV[3] memory_ms  how long the fence is remembered
-- ARGV[4] grant_ms   how long the waiter has to accept
-- returns  1 freed | 2 free already | 3 held by another
-- replay   a second run answers 2 or 3 and writes nothing
local now_us, token = tonumber(ARGV[1]), ARGV[2]
local holder = redis.call('GET', KEYS[1])
local code = 3
if not holder then code = 2 end
if string.match(holder or '', '^([^:]*):') == token then code = 1 end
local heads = redis.call('ZRANGE', KEYS[3], 0, 63)
-- Nobody waits: most releases end here.
if #heads == 0 and code == 1 then return redis.call('DEL', KEYS[1]) end
if #heads == 0 then return code end

if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
local fence = string.format('%.0f', math.max(last + 1, now_us))

local turn, leaving = nil, {}
for _, waiter in ipairs(heads) do
  local alive = waiter ~= token and tonumber(redis.call('ZSCORE', KEYS[4], waiter) or 0) >= now_us
  -- At the end of the fences the waiter finds out by itself.
  if alive and last < 9007199254740991 then turn = waiter break end
  if not alive then leaving[#leaving + 1] = waiter end
end
if code == 1 and turn then leaving[#leaving + 1] = turn end
-- Also from behind the first 64.
if #leaving > 0 or turn then leaving[#leaving + 1] = token end

for i = 1, #leaving do
  redis.call('ZREM', KEYS[3], leaving[i])
  redis.call('ZREM', KEYS[4], leaving[i])
end
if code == 1 and turn then
  redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
  redis.call('SET', KEYS[1], turn .. ':' .. fence, 'PX', ARGV[4])
  redis.call('SPUBLISH', KEYS[5], turn .. ':' .. fence)
elseif code == 1 then
  redis.call('DEL', KEYS[1])
end
return code
