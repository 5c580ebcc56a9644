#!lua
-- check: take units of every limit of a subject, up to what all of them have left, or of none.
-- KEYS[1..n] keys  of each limit three: its state (see its part); block, a string that denies while its
--                  TTL runs; holds, a zset of reservations: score the deadline, us; member "id:mark:units"
-- ARGV[1] now_us   microseconds since the epoch, 0 = the server's time
-- ARGV[2] least    units below which none is taken, 1 to 2^53
-- ARGV[3] most     units to take, 0 (look only) to 2^53
-- ARGV[4] id       of the slot or the reservation that the take makes; bytes, none if it makes neither
-- ARGV[5] hold_us  time to settle the reservation, 0 = the take makes none
-- ARGV[6..n] limits  of each limit four: its kind and the three numbers that its part takes
-- parts    fixed_window token_bucket sliding_log buckets sliding_window approximate_window slots
-- returns  {units taken, and of each limit: units left, us until `least` are left (0 = they are), us until
--          none is held, mark of the take}
-- replay   a second run takes again: it can only refuse more, never admit more
local now_us, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local id, hold_us = ARGV[4], tonumber(ARGV[5])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local kinds = {}

-- What the process that reserved it did not settle in time goes back, a hundred reservations at a time.
local function give_back_overdue(key, holds_key, kind, a, b, c)
  local now = string.format('%.0f', now_us)
  local overdue = redis.call('ZRANGEBYSCORE', holds_key, '-inf', now, 'LIMIT', 0, 100)
  for _, member in ipairs(overdue) do
    local mark, units = string.match(member, ':(%d+):(%d+)$')
    kind.give(key, tonumber(mark), tonumber(units), a, b, c)
    redis.call('ZREM', holds_key, member)
  end
end

local function reserve(holds_key, mark, units, reset_us)
  local deadline = string.format('%.0f', now_us + hold_us)
  redis.call('ZADD', holds_key, deadline, string.format('%s:%.0f:%.0f', id, mark, units))
  -- As long as there is something to give back, and one more so that no part of a millisecond is forgiven.
  local ttl_ms = math.ceil(math.max(hold_us, reset_us) / 1000) + 1
  if redis.call('PTTL', holds_key) < ttl_ms then redis.call('PEXPIRE', holds_key, string.format('%.0f', ttl_ms)) end
end

local function main()
  local limits, taken = {}, most
  for i = 1, #KEYS, 3 do
    local key, block_key, holds_key = KEYS[i], KEYS[i + 1], KEYS[i + 2]
    local n = 6 + (i - 1) / 3 * 4
    local kind, blocked_ms = kinds[ARGV[n]], -1
    local a, b, c = tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3])
    if redis.call('EXISTS', block_key, holds_key) > 0 then
      blocked_ms = redis.call('PTTL', block_key)
      give_back_overdue(key, holds_key, kind, a, b, c)
    end
    local limit = kind.look(key, a, b, c)
    -- A key is there until the millisecond of its end is over.
    if blocked_ms >= 0 then limit.wait_us = math.max(limit.wait_us, (blocked_ms + 1) * 1000) end
    limit.kind = kind
    limits[#limits + 1] = limit
    taken = limit.wait_us > 0 and 0 or math.min(taken, limit.room or limit.left)
  end

  local reply = {taken}
  for i, limit in ipairs(limits) do
    local left, reset_us, mark = limit.kind.take(KEYS[i * 3 - 2], limit, taken)
    if taken > 0 and hold_us > 0 then reserve(KEYS[i * 3], mark, taken, reset_us) end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = left, limit.wait_us, reset_us, mark
  end
  return reply
end
