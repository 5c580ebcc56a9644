#!lua flags=allow-oom
-- extend: hold a slot for a whole lease from now, if it is still held.
-- KEYS[1] slots     zset of leases: member the id of the holder, score when the lease ends, us; absent = none
-- ARGV[1] now_us    microseconds since the epoch, 0 = the server's time
-- ARGV[2] id        of the holder, bytes
-- ARGV[3] lease_us  length of a lease, 1000 to 2^52
-- returns  1 extended | 0 not held any more
-- replay   a second run extends again
local now_us, lease_us = tonumber(ARGV[1]), tonumber(ARGV[3])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local ends_us = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
if ends_us <= now_us then return 0 end

redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now_us + lease_us), ARGV[2])
local ttl_ms = math.ceil(lease_us / 1000) + 1
if redis.call('PTTL', KEYS[1]) < ttl_ms then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl_ms))
end
return 1
