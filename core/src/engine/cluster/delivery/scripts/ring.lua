-- Offers tasks of one place. A task that has an entry, or that somebody holds, is left alone, so offering twice is
-- offering once.
-- KEYS: stream, waiting, held. ARGV: limit, channel, message, then the packed tasks.
-- Answers how many were new, and how many of the given were taken in or there before the first that found no room.
local stream, waiting, held = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', stream) == 0 then
  redis.call('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
end
local room = tonumber(ARGV[1]) - redis.call('XLEN', stream)
local new, passed = 0, 0
for i = 4, #ARGV do
  local task = task_of(ARGV[i])
  if redis.call('HEXISTS', waiting, task) == 0 and redis.call('HEXISTS', held, task) == 0 then
    if room <= 0 then
      break
    end
    redis.call('HSET', waiting, task, redis.call('XADD', stream, '*', 't', ARGV[i]))
    room = room - 1
    new = new + 1
  end
  passed = passed + 1
end
if new > 0 then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return { new, passed }
