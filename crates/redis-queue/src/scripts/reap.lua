#!lua flags=allow-oom
-- reap: end a lease and return what its worker held to the front of the queue, in order.
-- KEYS[1] leases       sorted set, incarnation by the end of its lease in ms
-- KEYS[2] graves       sorted set, incarnation by when its lease was ended in ms
-- KEYS[3] processing   list of what the incarnation held, newest at the left
-- KEYS[4] pending      list of jobs that wait, the next at the right
-- KEYS[5] dead         stream of dead letters: job, why
-- KEYS[6] beats        sorted set, incarnation by when its next beat is due in ms
-- KEYS[7] alive        channel to which the incarnation's process is subscribed while it lives
-- ARGV[1] clock_us     0 = the server's time
-- ARGV[2] incarnation  whose jobs
-- ARGV[3] how          1 lost: only if its lease is over | 2 fenced: its owner gave it up, jobs may
--                      have been started | 3 left: its owner leaves, no job was started
--                      4 gone: only if its beat is overdue and its connection is closed
-- ARGV[4] limit        most jobs to return in this call, 1 to 500
-- ARGV[5] grave_ms     how long the list is looked at again: a command may still be on its way
-- ARGV[6] max_losses   a job that was lost with more workers than this is given up
-- ARGV[7] max_dead     about how many dead letters are kept
-- returns  {1 ended | 0 the lease is not over, jobs returned, jobs left, jobs given up}
-- replay   a second run returns more jobs, or none
local now_us = tonumber(ARGV[1])
if now_us == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now_ms, how = math.floor(now_us / 1000), ARGV[3]
local until_ms = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
local since_ms = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or 0)
local held = redis.call('LLEN', KEYS[3])
-- Read for its type alone: past the first write nothing may fail.
redis.call('LLEN', KEYS[4])
redis.call('XLEN', KEYS[5])
if how == '1' and until_ms > now_ms then return {0, 0, held, 0} end
if how == '4' then
  local due_ms = tonumber(redis.call('ZSCORE', KEYS[6], ARGV[2]) or now_ms + 1)
  if due_ms > now_ms or redis.call('PUBSUB', 'SHARDNUMSUB', KEYS[7])[2] > 0 then return {0, 0, held, 0} end
  how = '1'
end

-- Byte 21 of an envelope starts the counters: handed out, failed, lost with a worker.
local function counted(job)
  if how == '3' or #job < 32 or string.byte(job, 1) ~= 0xA7 or string.byte(job, 2) ~= 1 then return job, 0 end
  local given, failed, lost = struct.unpack('>I2I2I2', job, 21)
  if how == '1' then lost = math.min(lost + 1, 65535) end
  given = math.min(given + 1, 65535)
  return string.sub(job, 1, 20) .. struct.pack('>I2I2I2', given, failed, lost) .. string.sub(job, 27), lost
end

local jobs, back = {}, {}
if held > 0 then jobs = redis.call('LPOP', KEYS[3], ARGV[4]) end
for index = 1, #jobs do
  local job, lost = counted(jobs[index])
  if how == '1' and lost > tonumber(ARGV[6]) then
    local why = 'lost with ' .. string.format('%.0f', lost) .. ' workers'
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[7], '*', 'job', job, 'why', why)
  else
    back[#back + 1] = job
  end
end
-- The newest was at the left, so the oldest ends rightmost: the next to be taken.
if #back > 0 then redis.call('RPUSH', KEYS[4], unpack(back, 1, #back)) end
local left = held - #jobs
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[6], ARGV[2])
if until_ms > 0 and how ~= '3' then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_ms), ARGV[2])
elseif left == 0 then
  -- A grave that stayed empty for so long can be forgotten; a worker that left cleanly has none.
  if since_ms < now_ms - tonumber(ARGV[5]) then redis.call('ZREM', KEYS[2], ARGV[2]) end
elseif how == '3' then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_ms), ARGV[2])
end
return {1, #back, left, #jobs - #back}
