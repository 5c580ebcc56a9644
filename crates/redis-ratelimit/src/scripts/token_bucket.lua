-- part of check, refund: token_bucket, a debt that drains with time.
-- state    string "debt:at:parts": parts missing from the full bucket, when, us, and how many parts made
--          a unit then; absent = full
-- numbers  burst, units of the full bucket; parts of a unit, burst * parts is at most 2^52; drain, parts
--          that come back in a microsecond
-- mark     us since the epoch of the take
local function read_debt(key, parts, drain)
  local debt, at, old_parts = string.match(redis.call('GET', key) or '0:0:1', '^(%d+):(%d+):(%d+)$')
  debt, at, old_parts = tonumber(debt), tonumber(at), tonumber(old_parts)
  -- The rate has changed: the same units in the new parts, what is left of the last one rounded up.
  if old_parts ~= parts then
    local rest = math.fmod(debt, old_parts)
    debt = (debt - rest) / old_parts * parts
    if rest > 0 then debt = debt + math.min(math.ceil(rest / old_parts * parts) + 1, parts) end
    debt = math.min(debt, 4503599627370496)
  end
  -- A product too large for a Lua number loses digits but stays larger than any debt.
  return math.max(debt - math.max(now_us - at, 0) * drain, 0), at
end

local function write_debt(key, debt, parts, drain)
  -- One more than needed, so that no part of a millisecond is forgiven.
  local ttl_ms = string.format('%.0f', math.ceil(debt / drain / 1000) + 1)
  redis.call('SET', key, string.format('%.0f:%.0f:%.0f', debt, now_us, parts), 'PX', ttl_ms)
end

kinds.token_bucket = {
  look = function(key, burst, parts, drain)
    local debt, at = read_debt(key, parts, drain)
    -- Below zero if the burst was larger when it was owed.
    local room = burst * parts - debt
    local left, wait_us = math.max(math.floor(room / parts), 0), 0
    if left < least then wait_us = math.ceil((least * parts - room) / drain) end
    return {left = left, wait_us = wait_us, debt = debt, at = at, parts = parts, drain = drain}
  end,

  take = function(key, limit, units)
    local debt, drain = limit.debt + units * limit.parts, limit.drain
    -- Without a take, only what is not as it should be is written: no TTL, or a time that lies ahead
    -- since the clock was set back, which would hold the debt until then.
    if units > 0 or limit.at > now_us or redis.call('PTTL', key) == -1 then
      write_debt(key, debt, limit.parts, drain)
    end
    return limit.left - units, math.ceil(debt / drain), now_us
  end,

  give = function(key, mark, units, held, _, parts, drain)
    local debt = read_debt(key, parts, drain)
    -- What drained since the take may have been its own, whatever stood before it: that may be given back by
    -- now, and then made room for others.
    local back = math.min(units * parts, held * parts - math.max(now_us - mark, 0) * drain, debt)
    if back <= 0 then return 0 end
    write_debt(key, debt - back, parts, drain)
    return math.ceil(back / parts)
  end,
}
