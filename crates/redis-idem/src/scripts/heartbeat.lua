#!lua flags=allow-oom
-- heartbeat: start the claim's lease anew, if it is still this owner's.
-- Allowed when memory is short: it takes none, and without it a live claim would be taken over.
-- KEYS[1] record        packed, see record.rs; bytes 3 to 19 are its state and owner
-- ARGV[1] pending       state and owner of the claim
-- ARGV[2] retention_ms  the TTL of a claim that is as good as new, 1 to 2^53
-- returns  1 renewed | 0 not this owner's
-- replay   a second run sets the same TTL
if redis.call('GETRANGE', KEYS[1], 3, 19) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
