#!lua
-- takeover: replace a claim whose lease is over, if it is still the one that the caller saw.
-- The age of a claim is its retention less the key's TTL, so no clock but the server's decides.
-- KEYS[1] record          packed, see record.rs; bytes 3 to 19 are its state and owner
-- ARGV[1] seen            state and owner that the caller saw
-- ARGV[2] lease_over_ms   the lease is over once the TTL is at most this: retention less lease
-- ARGV[3] successor       the packed record to put there: the caller's own claim, or the one that was
--                         seen, marked as in doubt
-- ARGV[4] retention_ms    how long the successor is kept, 1 to 2^53
-- returns  {1 taken over, 0} | {2 alive, ms left of its lease} | {3 another record, the record} | {4 no record, 0}
-- replay   a second run answers {3, the successor} and writes nothing
local current = redis.call('GET', KEYS[1])
if not current then return {4, 0} end
if string.sub(current, 4, 20) ~= ARGV[1] then return {3, current} end
local left_ms = redis.call('PTTL', KEYS[1]) - tonumber(ARGV[2])
if left_ms > 0 then return {2, left_ms} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return {1, 0}
