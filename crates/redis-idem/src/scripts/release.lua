#!lua flags=allow-oom
-- release: give the claim back, if it is still this owner's.
-- KEYS[1] record   packed, see record.rs; bytes 3 to 19 are its state and owner; the channel of
--                  its waiters has the same name
-- ARGV[1] pending  state and owner of the claim
-- ARGV[2] left     the packed record to leave there, which keeps the fingerprint and the count of
--                  attempts; empty to forget the request
-- ARGV[3] ttl_ms   how long that is kept, 1 to 2^53: as long as a claim whose lease is over
-- returns  1 given back | 2 there was none | 0 not this owner's
-- replay   a second run answers 2, or 1 and leaves the same record
local mark = redis.call('GETRANGE', KEYS[1], 3, 19)
if mark == '' then return 2 end
if mark ~= ARGV[1] then return 0 end
-- Waiters hear it after the script has ended. A user who may not publish lets them find out late.
redis.pcall('SPUBLISH', KEYS[1], '')
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
