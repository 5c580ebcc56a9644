-- part of check, refund: approximate_window, the window before counts by the part that is still in reach.
-- numbers  limit, 1 to 2^51; width_ms, 1 to 2^53, limit * width_ms is at most 2^53; not used

-- x / y rounded down, exact up to 2^53.
local function quotient(x, y)
  return (x - math.fmod(x, y)) / y
end

-- Until `units` of a window that ended at `ending` weigh no more than `room`.
local function until_light(units, ending, room, width_ms)
  return ending + (width_ms - quotient(room * width_ms, units)) * 1000 - now_us
end

kinds.approximate_window = {
  look = function(key, limit, width_ms)
    local window, ends = read_buckets(key, now_us - width_ms * 1000, width_ms * 1000)
    local before, ended, here = 0, 0, 0
    for _, ending in ipairs(ends) do
      if ending <= now_us then
        before, ended = before + window.units[ending], math.max(ended, ending)
      else
        here = here + window.units[ending]
      end
    end
    -- Time rounded down and weight up: it never weighs too little.
    local reach_ms = width_ms - quotient(now_us - ended, 1000)
    local weight = quotient(before * reach_ms, width_ms) + math.min(math.fmod(before * reach_ms, width_ms), 1)
    window.lasts_us, window.left = width_ms * 1000, math.max(limit - here - weight, 0)
    if window.left >= least then return window end
    if here + least <= limit then
      window.wait_us = until_light(before, ended, limit - here - least, width_ms)
    else
      window.wait_us = until_light(here, window.newest, limit - least, width_ms)
    end
    return window
  end,
  take = take_in_bucket,
  give = give_to_bucket,
}
