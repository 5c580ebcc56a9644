#!lua flags=allow-oom
-- complete: store the outcome, if the claim is still this owner's.
-- Allowed when memory is short: work that is done but not recorded would be done again.
-- KEYS[1] record        packed, see record.rs; bytes 3 to 19 are its state and owner
-- ARGV[1] pending       state and owner of the claim
-- ARGV[2] outcome       the packed record with the outcome, by the same owner
-- ARGV[3] retention_ms  how long the outcome is kept, 1 to 2^53
-- returns  1 stored | 2 stored before by this owner | 0 not this owner's
-- replay   a second run answers 2 and writes nothing
local mark = redis.call('GETRANGE', KEYS[1], 3, 19)
if mark == string.sub(ARGV[2], 4, 20) then return 2 end
if mark ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
