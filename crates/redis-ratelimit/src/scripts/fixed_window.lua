-- part of check, refund: fixed_window, one count and one expiry.
-- state    string, decimal count; its TTL is what is left of the window; absent = none open
-- numbers  limit, 1 to 2^53; period_ms, 1 to 2^53; not used
-- mark     ms since the epoch when the window ends, 0 if there is none
kinds.fixed_window = {
  look = function(key, limit, period_ms)
    local left = math.max(limit - tonumber(redis.call('GET', key) or 0), 0)
    local ttl_ms = redis.call('PTTL', key)
    -- A key without a TTL is treated as a window that opens now; -2 is no key. A key is there until the
    -- millisecond of its end is over.
    local ends_us = (ttl_ms < 0 and period_ms or ttl_ms + 1) * 1000
    local wait_us = left < least and ends_us or 0
    return {left = left, wait_us = wait_us, ttl_ms = ttl_ms, ends_us = ends_us, period_ms = period_ms}
  end,

  take = function(key, limit, units)
    if units > 0 then redis.call('INCRBY', key, string.format('%.0f', units)) end
    -- NX: concurrent requests do not extend the window, and a key that lost its TTL gets one again.
    if limit.ttl_ms < 0 then redis.call('PEXPIRE', key, string.format('%.0f', limit.period_ms), 'NX') end
    local open = units > 0 or limit.ttl_ms ~= -2
    local mark = units > 0 and redis.call('PEXPIRETIME', key) or 0
    return limit.left - units, open and limit.ends_us or 0, mark
  end,

  give = function(key, mark, units)
    if redis.call('PEXPIRETIME', key) ~= mark then return 0 end
    local back = math.min(units, tonumber(redis.call('GET', key)))
    if back > 0 then redis.call('DECRBY', key, string.format('%.0f', back)) end
    return back
  end,
}
