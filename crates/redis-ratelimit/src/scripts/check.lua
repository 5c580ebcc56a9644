#!lua
-- check: take units of every limit of a subject, up to what all of them have left, or of none.
-- KEYS[1..n] keys  of each limit of each question three: its state (see its part); block, a string that denies
--                  while its TTL runs; holds, a zset of reservations: score the deadline, us; member "id:mark:units"
-- ARGV[1] now_us   microseconds since the epoch, 0 = the server's time
-- ARGV[2] id       of the slot or the reservation that the take makes; bytes, none if it makes neither
-- ARGV[3] hold_us  time to settle the reservation, 0 = the take makes none
-- ARGV[4] questions  1 or more, each about other keys
-- ARGV[5] count    limits of each question, 1 or more, of the same rules
-- ARGV[6..n] asked  of each limit four: its kind and the three numbers that its part takes; then of each question
--                  two: least, units below which none is taken, 1 to 2^53; most, 0 (look only) to 2^53
-- parts    fixed_window token_bucket sliding_log buckets sliding_window approximate_window slots
-- returns  {units taken, and of each limit: units left, us until `least` are left (0 = they are), us until none
--          is held, mark of the take}; of several questions a list of these, {-1} for a failure
-- replay   a second run takes again: it can only refuse more, never admit more
local now_us, id, hold_us = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local kinds, questions, count, least, most = {}, tonumber(ARGV[4]), tonumber(ARGV[5])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end

-- What the process that reserved it did not settle in time goes back, a hundred reservations at a time.
local function give_back_overdue(key, holds_key, kind, a, b, c)
  local overdue = redis.call('ZRANGEBYSCORE', holds_key, '-inf', string.format('%.0f', now_us), 'LIMIT', 0, 100)
  for _, member in ipairs(overdue) do
    local mark, units = string.match(member, ':(%d+):(%d+)$')
    kind.give(key, tonumber(mark), tonumber(units), tonumber(units), a, b, c)
    redis.call('ZREM', holds_key, member)
  end
end

local function reserve(holds_key, mark, units, reset_us)
  local deadline, member = string.format('%.0f', now_us + hold_us), string.format('%s:%.0f:%.0f', id, mark, units)
  redis.call('ZADD', holds_key, deadline, member)
  -- As long as there is something to give back, and one more so that no part of a millisecond is forgiven.
  local ttl_ms = math.ceil(math.max(hold_us, reset_us) / 1000) + 1
  if redis.call('PTTL', holds_key) < ttl_ms then redis.call('PEXPIRE', holds_key, string.format('%.0f', ttl_ms)) end
end

local function decide(question)
  local limits, taken, before = {}, most, (question - 1) * count * 3
  for i = 1, count do
    local at, n = before + i * 3, 2 + i * 4
    local key, block_key, holds_key = KEYS[at - 2], KEYS[at - 1], KEYS[at]
    local kind, blocked_ms = kinds[ARGV[n]], -1
    local a, b, c = tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3])
    if redis.call('EXISTS', block_key, holds_key) > 0 then
      blocked_ms = redis.call('PTTL', block_key)
      -- A block that lost its TTL lasts an hour more.
      if blocked_ms == -1 then blocked_ms = redis.call('PEXPIRE', block_key, 3600000) * 3600000 end
      give_back_overdue(key, holds_key, kind, a, b, c)
    end
    local limit = kind.look(key, a, b, c)
    -- A key is there until the millisecond of its end is over.
    if blocked_ms >= 0 then limit.left, limit.wait_us = 0, math.max(limit.wait_us, (blocked_ms + 1) * 1000) end
    limit.kind, limits[i] = kind, limit
    taken = limit.wait_us > 0 and 0 or math.min(taken, limit.room or limit.left)
  end
  local reply = {taken}
  for i, limit in ipairs(limits) do
    local at, n = before + i * 3, #reply
    local left, reset_us, mark = limit.kind.take(KEYS[at - 2], limit, taken)
    if taken > 0 and hold_us > 0 then reserve(KEYS[at], mark, taken, reset_us) end
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = left, limit.wait_us, reset_us, mark
  end
  return reply
end

local function main()
  local replies = {}
  for question = 1, questions do
    least, most = tonumber(ARGV[count * 4 + question * 2 + 4]), tonumber(ARGV[count * 4 + question * 2 + 5])
    if questions == 1 then return decide(1) end
    -- A key of another type fails its own question, before anything of it is written, and no other.
    local answered, reply = pcall(decide, question)
    replies[question] = answered and reply or {-1}
  end
  return replies
end
