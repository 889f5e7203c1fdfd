-- A part of what one place holds, for comparison with the ledger. What belongs to nothing is removed on the way: entries
-- that no task names, leases that nobody holds.
-- KEYS: stream, waiting, held, leases. ARGV: how much, and where to go on: in the stream, waiting, held, leases.
-- Answers where to go on in each (the same words as at first: all was seen), and the tasks.
local stream, waiting, held, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local count = ARGV[1]
local place, entries = '-', redis.call('XRANGE', stream, ARGV[2], '+', 'COUNT', count)
for _, item in ipairs(entries) do
  local task = task_of(item[2][2])
  if redis.call('HGET', waiting, task) ~= item[1] then
    local lease = read_lease(redis.call('HGET', held, task))
    if not lease or lease.entry ~= item[1] then
      drop(stream, item[1])
    end
  end
end
if #entries == tonumber(count) then
  place = '(' .. entries[#entries][1]
end
local tasks = {}
local names = redis.call('HSCAN', waiting, ARGV[3], 'COUNT', count)
for i = 1, #names[2], 2 do
  tasks[#tasks + 1] = names[2][i]
end
local holders = redis.call('HSCAN', held, ARGV[4], 'COUNT', count)
for i = 1, #holders[2], 2 do
  tasks[#tasks + 1] = holders[2][i]
end
local ends = redis.call('ZSCAN', leases, ARGV[5], 'COUNT', count)
for i = 1, #ends[2], 2 do
  if redis.call('HEXISTS', held, ends[2][i]) == 0 then
    redis.call('ZREM', leases, ends[2][i])
  end
end
return { place, names[1], holders[1], ends[1], tasks }
