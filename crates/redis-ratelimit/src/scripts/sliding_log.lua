-- part of check, refund: sliding_log, every take of the trailing period.
-- state    zset of takes: score when, us; member "before:units", where before is the sum of all units of
--          earlier takes modulo 2^52; absent = none
-- numbers  limit, 1 to 2^51; period_us, 1000 to 2^52; not used. mark  us since the epoch of the take
local function read_take(member)
  local before, units = string.match(member, '^(%d+):(%d+)$')
  return tonumber(before), tonumber(units)
end

kinds.sliding_log = {
  look = function(key, limit, period_us)
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    local log = {wait_us = 0, period_us = period_us, last = last[1], last_us = 0, before = 0, units = 0}
    if last[1] then
      log.last_us, log.before, log.units = tonumber(last[2]), read_take(last[1])
    end
    -- A clock that was set back stands still here until it has caught up: the order of takes is kept.
    log.at_us = math.max(now_us, log.last_us)
    log.over = string.format('%.0f', log.at_us - period_us)
    local first = redis.call('ZRANGEBYSCORE', key, '(' .. log.over, '+inf', 'LIMIT', 0, 1)[1]
    local first_before = first and read_take(first) or 0
    log.sum = (log.before + log.units) % 4503599627370496
    log.used = first and (log.sum - first_before) % 4503599627370496 or 0
    log.left = math.max(limit - log.used, 0)
    if log.left >= least then return log end

    -- The first take whose end, with that of all before it, frees enough: by halves, since the sums rise.
    local low, high = redis.call('ZCOUNT', key, '-inf', log.over), redis.call('ZCARD', key) - 1
    for _ = 1, 53 do
      if low >= high then break end
      local middle = math.floor((low + high) / 2)
      local before, units = read_take(redis.call('ZRANGE', key, middle, middle)[1])
      local freed = (before + units - first_before) % 4503599627370496
      if freed >= log.used + least - limit then high = middle else low = middle + 1 end
    end
    local freeing = redis.call('ZRANGE', key, low, low, 'WITHSCORES')
    log.wait_us = tonumber(freeing[2]) + period_us - log.at_us
    return log
  end,

  take = function(key, log, units)
    local held_us = log.used > 0 and log.last_us + log.period_us - log.at_us or 0
    if units > 0 then
      held_us = log.period_us
      redis.call('ZREMRANGEBYSCORE', key, '-inf', log.over)
      local before, amount = log.sum, units
      -- Takes of one microsecond are one entry.
      if log.last_us == log.at_us then
        redis.call('ZREM', key, log.last)
        before, amount = log.before, log.units + units
      end
      redis.call('ZADD', key, string.format('%.0f', log.at_us), string.format('%.0f:%.0f', before, amount))
    end
    -- One more than needed, so that no part of a millisecond is forgiven.
    if units > 0 or redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(log.period_us / 1000) + 1))
    end
    return log.left - units, held_us, log.at_us
  end,

  -- As many steps as there were takes since.
  give = function(key, mark, units)
    local takes = redis.call('ZRANGEBYSCORE', key, string.format('%.0f', mark), '+inf', 'WITHSCORES')
    if units == 0 or not takes[1] or tonumber(takes[2]) ~= mark then return 0 end
    local before, amount = read_take(takes[1])
    local back = math.min(units, amount)
    -- The key must not be empty in between, or its TTL is gone: what stays is added before the old goes.
    if amount > back then
      redis.call('ZADD', key, takes[2], string.format('%.0f:%.0f', before, amount - back))
    end
    redis.call('ZREM', key, takes[1])
    for i = 3, #takes, 2 do
      local later, more = read_take(takes[i])
      later = (later - back) % 4503599627370496
      redis.call('ZADD', key, takes[i + 1], string.format('%.0f:%.0f', later, more))
      redis.call('ZREM', key, takes[i])
    end
    return back
  end,
}
