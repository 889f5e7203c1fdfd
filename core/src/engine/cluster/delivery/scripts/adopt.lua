-- Takes in leases that Redis has lost, for workers that still hold them, unless their tasks are another's by now or
-- wait again.
-- KEYS: stream, waiting, held, leases. ARGV: worker, lease in ms, started at, then task and token for each.
-- Answers for each: 0 taken in, 1 lost.
local stream, waiting, held, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, length, last = clock(), tonumber(ARGV[2]), delivered(stream)
local out = {}
for i = 4, #ARGV, 2 do
  local task, token = ARGV[i], ARGV[i + 1]
  local lease = read_lease(redis.call('HGET', held, task))
  local entry = redis.call('HGET', waiting, task)
  local packed = entry and entry_at(stream, entry)
  if not packed or task_of(packed) ~= task then
    entry = nil
  end
  local anothers = lease and lease.token ~= '0' and lease.token ~= token
  if anothers or (not lease and entry and is_after(entry, last)) then
    out[#out + 1] = 1
  else
    if not entry then
      redis.call('HDEL', waiting, task)
    end
    write_lease(held, leases, task,
      { token = token, worker = ARGV[1], start = ARGV[3], entry = entry or '-', ends = now + length, length = length })
    out[#out + 1] = 0
  end
end
return out
