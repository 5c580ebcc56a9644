#!lua
-- create: begin a session, if its key is free and its user may have one more.
-- KEYS[1] session      string: deadline, begun, seen (13 digits each, ms since 1970), then the rest
-- KEYS[2] index        sorted set of the user's sessions by when they end in ms; absent = none
-- ARGV[1] now_us       microseconds since 1970, or 0 for the server's time
-- ARGV[2] idle_ms      how long it lives without use, 1 to 2^40
-- ARGV[3] absolute_ms  how long it lives at most, 1 to 2^40
-- ARGV[4] rest         version (16 bytes), u or n (a user's or nobody's), length of the device (3 digits), device, value
-- ARGV[5] member       its name in the index, or empty if it is nobody's
-- ARGV[6] limit        how many sessions the user may have, 0 = any number
-- ARGV[7] when_full    1 = those that would end first make room, 0 = refuse
-- ARGV[8] uncounted    a member that the new one replaces: it is neither counted nor makes room; or empty
-- returns  {1 begun | 0 the key is taken | 2 the user has as many as allowed, members that made room}
-- replay   a second run answers 0 and writes nothing
if redis.call('EXISTS', KEYS[1]) == 1 then return {0, {}} end
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now_us / 1000)
local now, limit, over = string.format('%.0f', now_ms), tonumber(ARGV[6]), {}
if limit > 0 then
  local excess = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') - limit + 1
  if (tonumber(redis.call('ZSCORE', KEYS[2], ARGV[8]) or 0)) > now_ms then excess = excess - 1 end
  if excess > 0 and ARGV[7] == '0' then return {2, {}} end
  if excess > 0 then
    local first = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'LIMIT', 0, string.format('%.0f', excess + 1))
    for _, member in ipairs(first) do
      if member ~= ARGV[8] and #over < excess then table.insert(over, member) end
    end
  end
end
local ttl_ms = math.min(tonumber(ARGV[2]), tonumber(ARGV[3]))
local times = string.format('%013.0f%013.0f%013.0f', now_ms + tonumber(ARGV[3]), now_ms, now_ms)
if ARGV[5] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  for _, member in ipairs(over) do redis.call('ZREM', KEYS[2], member) end
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_ms + ttl_ms), ARGV[5])
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', last[2] - now_ms))
end
redis.call('SET', KEYS[1], times .. ARGV[4], 'PX', string.format('%.0f', ttl_ms))
return {1, over}
