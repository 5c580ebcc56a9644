-- part of check, refund: buckets, counts by the time they were taken in, for the kinds that need no more.
-- state    hash of the end of a bucket, us since the epoch, to units taken in it; absent = all empty. An
--          end means the same whatever the width is, so widths can change
-- mark     the end of the bucket of the take

-- `over_us` is the end of the newest bucket that no longer counts.
local function read_buckets(key, over_us, width_us)
  local stored, ends, units, stale = redis.call('HGETALL', key), {}, {}, {}
  local used, newest = 0, 0
  for i = 1, #stored, 2 do
    local ending = tonumber(stored[i])
    if ending <= over_us then
      stale[#stale + 1] = stored[i]
    else
      ends[#ends + 1], units[ending] = ending, tonumber(stored[i + 1])
      used, newest = used + units[ending], math.max(newest, ending)
    end
  end
  local current = (math.floor(now_us / width_us) + 1) * width_us
  local window = {wait_us = 0, units = units, stale = stale, used = used, newest = newest, current = current}
  return window, ends
end

-- `window.lasts_us` is how long a bucket counts after its end.
local function take_in_bucket(key, window, units)
  local newest = units > 0 and math.max(window.newest, window.current) or window.newest
  local held_us = math.max(newest + window.lasts_us - now_us, 0)
  if newest == 0 then held_us = 0 end
  if units > 0 then
    local stale = window.stale
    for i = 1, #stale do redis.call('HDEL', key, stale[i]) end
    redis.call('HINCRBY', key, string.format('%.0f', window.current), string.format('%.0f', units))
  end
  -- One more than needed, so that no part of a millisecond is forgiven.
  if units > 0 or redis.call('PTTL', key) == -1 then
    redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(held_us / 1000) + 1))
  end
  return window.left - units, held_us, window.current
end

local function give_to_bucket(key, mark, units)
  local bucket = string.format('%.0f', mark)
  local held = tonumber(redis.call('HGET', key, bucket) or 0)
  local back = math.min(units, held)
  if back > 0 and back == held then
    redis.call('HDEL', key, bucket)
  elseif back > 0 then
    redis.call('HINCRBY', key, bucket, string.format('%.0f', -back))
  end
  return back
end
