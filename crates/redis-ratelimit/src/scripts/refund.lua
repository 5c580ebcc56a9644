#!lua flags=allow-oom
-- refund: give units back to every limit they were taken from, of a reservation only the first time.
-- KEYS[1..n] keys  of each limit three: its state (see its part); block, not used here; holds, a zset of
--                  reservations: score the deadline, us; member "id:mark:units"
-- ARGV[1] now_us    microseconds since the epoch, 0 = the server's time
-- ARGV[2] units     to give back, 0 to 2^53
-- ARGV[3] id        of the slot or the reservation; bytes, none if it is neither
-- ARGV[4] reserved  units of the reservation, 0 = it is none
-- ARGV[5] held      units of the take that did not come back yet, at least `units`
-- ARGV[6..n] limits  of each limit five: its kind, the three numbers that its part takes, the mark of the take
-- parts    fixed_window token_bucket sliding_log buckets sliding_window approximate_window slots
-- returns  {units given back to each limit, 0 if what was taken is over; -1 if nothing is reserved any more}
-- replay   a second run gives back again, never more than the window holds; of a reservation nothing
local now_us, units = tonumber(ARGV[1]), tonumber(ARGV[2])
local id, reserved, held = ARGV[3], ARGV[4], tonumber(ARGV[5])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local kinds = {}

local function main()
  local reply = {}
  for i = 1, #KEYS, 3 do
    local key, holds_key, n = KEYS[i], KEYS[i + 2], 6 + (i - 1) / 3 * 5
    local kind, mark = kinds[ARGV[n]], ARGV[n + 4]
    local a, b, c = tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3])
    if reserved ~= '0' and redis.call('ZREM', holds_key, id .. ':' .. mark .. ':' .. reserved) == 0 then
      reply[#reply + 1] = -1
    else
      reply[#reply + 1] = kind.give(key, tonumber(mark), units, held, a, b, c)
    end
  end
  return reply
end
