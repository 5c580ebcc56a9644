#!lua flags=allow-oom
-- release: give the claim back, if it is still this owner's.
-- KEYS[1] record         packed, see record.rs; bytes 3 to 19 are its state and owner; the channel of
--                        its waiters has the same name
-- ARGV[1] pending        state and owner of the claim
-- ARGV[2] lease_over_ms  0 to forget the request; else the TTL at which the claim's lease is over,
--                        which keeps the fingerprint and the count of earlier attempts
-- returns  1 given back | 2 there was none | 0 not this owner's
-- replay   a second run answers 2, or 1 and sets the same TTL
local mark = redis.call('GETRANGE', KEYS[1], 3, 19)
if mark == '' then return 2 end
if mark ~= ARGV[1] then return 0 end
-- Waiters hear it after the script has ended. A user who may not publish lets them find out late.
redis.pcall('SPUBLISH', KEYS[1], '')
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
