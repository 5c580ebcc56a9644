-- part of check, refund: slots, leases that are held at the same time.
-- state    zset of leases: member the id of the holder, score when the lease ends, us; absent = none
-- numbers  slots, 1 to 2^53; lease_us, 1000 to 2^52; not used
-- mark     0
kinds.slots = {
  look = function(key, slots, lease_us)
    local now = string.format('%.0f', now_us)
    local live = redis.call('ZCOUNT', key, '(' .. now, '+inf')
    -- Whatever a request costs in units, it takes one slot.
    local limit = {left = math.max(slots - live, 0), room = 9007199254740992, wait_us = 0, now = now}
    limit.live, limit.lease_us = live, lease_us
    if limit.left == 0 then
      local freeing = redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', live - slots, 1)
      limit.wait_us = tonumber(freeing[2]) - now_us
    end
    return limit
  end,

  take = function(key, limit, units)
    if units > 0 then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', limit.now)
      local added = redis.call('ZADD', key, string.format('%.0f', now_us + limit.lease_us), id)
      limit.left = limit.left - added
    end
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    local held_us = last[2] and math.max(tonumber(last[2]) - now_us, 0) or 0
    -- One more than needed, so that no part of a millisecond is forgiven.
    if units > 0 or redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(held_us / 1000) + 1))
    end
    return limit.left, held_us, 0
  end,

  give = function(key)
    return redis.call('ZREM', key, id)
  end,
}
