#!lua
-- enter: take permits if there is room for this one behind all who came before; else queue.
-- KEYS[1] holders   hash: token to "weight:fence:end of its lease in us"
-- KEYS[2] fence     string, decimal: the last fence issued; absent = forgotten
-- KEYS[3] queue     sorted set: "token:weight" by the time they came
-- KEYS[4] alive     sorted set: the same by the time until which they count as alive
-- ARGV[1] now_us     microseconds since the epoch; 0 = the server's time
-- ARGV[2] token      names this request: no colon in it
-- ARGV[3] weight     permits wanted, 1 to limit
-- ARGV[4] limit      permits that there are
-- ARGV[5] lease_ms   how long the permits are held, at least 1
-- ARGV[6] memory_ms  how long the fence is remembered, at least lease_ms
-- ARGV[7] alive_ms   how long a waiter that says nothing more counts as alive; 0 = it does not queue
-- ARGV[8] fences     1 = a fence of its own | 2 = the last one, which others may have too
-- returns  {0 no room | 1 granted | 2 held by this token already | 3 no fence left, fence, ms left of a lease}
-- replay   a second run keeps the place in the queue, or answers 2 with the same fence
local now_us, token, weight, lease_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local alive_ms = tonumber(ARGV[7])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end

local used, next_us, late = 0, now_us + lease_ms * 1000, {}
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local holds, fence, until_us = string.match(entries[i + 1], '^(%d+):(%d+):(%d+)$')
  if tonumber(until_us or 0) <= now_us then
    late[#late + 1] = entries[i]
  elseif entries[i] == token then
    return {2, fence, math.ceil((until_us - now_us) / 1000)}
  else
    used = used + holds
    next_us = math.min(next_us, until_us)
  end
end

local me = token .. ':' .. ARGV[3]
local heads = redis.call('ZRANGE', KEYS[3], 0, 127)
-- Behind more than are looked at it is certainly not this one's turn.
local reached, dead = #heads < 128, {}
for _, waiter in ipairs(heads) do
  reached = reached or waiter == me
  if waiter == me then break end
  if tonumber(redis.call('ZSCORE', KEYS[4], waiter) or 0) >= now_us then
    used = used + (string.match(waiter, ':(%d+)$') or 0)
  else
    dead[#dead + 1] = waiter
  end
end

local room = reached and used + weight <= tonumber(ARGV[4])
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or 0)
-- Past 2^53 - 1 two fences could be the same number.
if room and last >= 9007199254740991 then return {3, '0', 0} end
local fence = math.max(last + 1, now_us)
if ARGV[8] == '2' and last > 0 then fence = last end
fence = string.format('%.0f', fence)

for i = 1, #late do redis.call('HDEL', KEYS[1], late[i]) end
if room then dead[#dead + 1] = me end
for i = 1, #dead do
  redis.call('ZREM', KEYS[3], dead[i])
  redis.call('ZREM', KEYS[4], dead[i])
end
if room then
  redis.call('SET', KEYS[2], fence, 'PX', ARGV[6])
  local until_us = string.format('%.0f', now_us + lease_ms * 1000)
  redis.call('HSET', KEYS[1], token, ARGV[3] .. ':' .. fence .. ':' .. until_us)
  redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), lease_ms))
elseif alive_ms > 0 then
  redis.call('ZADD', KEYS[3], 'NX', now_us, me)
  redis.call('ZADD', KEYS[4], now_us + alive_ms * 1000, me)
  redis.call('PEXPIRE', KEYS[3], 2 * alive_ms)
  redis.call('PEXPIRE', KEYS[4], 2 * alive_ms)
end
return {room and 1 or 0, room and fence or '0', math.ceil((next_us - now_us) / 1000)}
