-- Rings for tasks of one kind and shard. A task that is known already (it waits, or somebody holds it) is left alone, so
-- ringing twice is ringing once.
-- KEYS: known, stream. ARGV: limit, channel, message, then row and task for each.
-- Answers how many were new, and how many of the given were taken in or known before the first that found no room.
local stream = KEYS[2]
if redis.call('EXISTS', stream) == 0 then
  redis.call('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
end
local room = tonumber(ARGV[1]) - redis.call('XLEN', stream)
local new, passed = 0, 0
for i = 4, #ARGV, 2 do
  if room > 0 then
    if redis.call('SADD', KEYS[1], ARGV[i]) == 1 then
      redis.call('XADD', stream, '*', 'r', ARGV[i], 't', ARGV[i + 1])
      room = room - 1
      new = new + 1
    end
  elseif redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 0 then
    break
  end
  passed = passed + 1
end
if new > 0 then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return { new, passed }
