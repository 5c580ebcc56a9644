-- part of check, refund: sliding_window, buckets that count whole until their end is a period ago.
-- numbers  limit, 1 to 2^51; width_us of a bucket, 1 to 2^52; lasts_us, how long a bucket counts after its
--          end: the period, 0 for windows that stand side by side
kinds.sliding_window = {
  look = function(key, limit, width_us, lasts_us)
    local window, ends = read_buckets(key, now_us - lasts_us, width_us)
    window.lasts_us, window.left = lasts_us, math.max(limit - window.used, 0)
    if window.left >= least then return window end
    table.sort(ends)
    local freed = 0
    for _, ending in ipairs(ends) do
      freed = freed + window.units[ending]
      if freed >= window.used + least - limit then
        window.wait_us = ending + lasts_us - now_us
        break
      end
    end
    return window
  end,
  take = take_in_bucket,
  give = give_to_bucket,
}
