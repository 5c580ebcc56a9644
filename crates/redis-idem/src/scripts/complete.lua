#!lua flags=allow-oom
-- complete: store how the work ended, if the claim is still this owner's.
-- Allowed when memory is short: work that is done but not recorded would be done again.
-- KEYS[1] record        packed, see record.rs: byte 3 is its state (P pending, I in doubt, D done),
--                       bytes 4 to 19 are its owner; the channel of its waiters has the same name
-- ARGV[1] ended         the packed record, in doubt or done, by the same owner
-- ARGV[2] retention_ms  how long it is kept, 1 to 2^53
-- returns  1 stored | 2 stored before by this owner | 0 not this owner's
-- replay   a second run answers 2 and writes nothing
local mark = redis.call('GETRANGE', KEYS[1], 3, 19)
if string.sub(mark, 2) ~= string.sub(ARGV[1], 5, 20) then return 0 end
local state = string.sub(mark, 1, 1)
if state == 'D' or state == string.sub(ARGV[1], 4, 4) then return 2 end
-- Waiters hear it after the script has ended. A user who may not publish lets them find out late.
redis.pcall('SPUBLISH', KEYS[1], state)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
