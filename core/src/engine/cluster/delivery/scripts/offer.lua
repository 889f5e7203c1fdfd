-- Offers tasks of one place. A task that has an entry, or that somebody holds, is left alone, so offering twice is
-- offering once.
-- KEYS: stream, waiting, held. ARGV: limit, channel, message, then the packed tasks, a thousand at most.
-- Answers how many were new, and how many of the given were taken in or there before the first that found no room.
local stream, waiting, held = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', stream) == 0 then
  redis.call('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
end
local room = tonumber(ARGV[1]) - redis.call('XLEN', stream)
local tasks = {}
for i = 4, #ARGV do
  tasks[i - 3] = task_of(ARGV[i])
end
local names, holders = redis.call('HMGET', waiting, unpack(tasks)), redis.call('HMGET', held, unpack(tasks))
local named, offered, passed = {}, {}, 0
for i, task in ipairs(tasks) do
  if not names[i] and not holders[i] and not offered[task] then
    if room <= 0 then
      break
    end
    offered[task] = true
    named[#named + 1] = task
    named[#named + 1] = redis.call('XADD', stream, '*', 't', ARGV[i + 3])
    room = room - 1
  end
  passed = passed + 1
end
if #named > 0 then
  redis.call('HSET', waiting, unpack(named))
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return { #named / 2, passed }
