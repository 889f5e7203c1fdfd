-- Lets go of tasks of one place that are final, gone, or due later.
-- KEYS: stream, waiting, held, leases. ARGV: tasks, a thousand at most.
local stream, waiting, held, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local names, holders = redis.call('HMGET', waiting, unpack(ARGV)), redis.call('HMGET', held, unpack(ARGV))
local entries = {}
for i = 1, #ARGV do
  local entry, holder = names[i], holders[i]
  if entry then
    entries[#entries + 1] = entry
  end
  -- It is held by the very entry that is named, nearly always.
  if holder and not (entry and string.find(holder, ' ' .. entry .. ' ', 1, true)) then
    local lease = read_lease(holder)
    if lease and lease.entry ~= '-' then
      entries[#entries + 1] = lease.entry
    end
  end
end
redis.call('HDEL', held, unpack(ARGV))
redis.call('ZREM', leases, unpack(ARGV))
redis.call('HDEL', waiting, unpack(ARGV))
if #entries > 0 then
  redis.call('XACK', stream, 'workers', unpack(entries))
  redis.call('XDEL', stream, unpack(entries))
end
return 0
