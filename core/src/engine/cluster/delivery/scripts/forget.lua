-- Lets go of tasks of one place that are final, gone, or due later.
-- KEYS: stream, waiting, held, leases. ARGV: tasks.
local stream, waiting, held, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entries = {}
for _, task in ipairs(ARGV) do
  local lease = read_lease(redis.call('HGET', held, task))
  local entry = redis.call('HGET', waiting, task)
  if entry then
    entries[#entries + 1] = entry
  end
  if lease and lease.entry ~= '-' and lease.entry ~= entry then
    entries[#entries + 1] = lease.entry
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
