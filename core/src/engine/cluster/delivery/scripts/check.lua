-- Which tasks of one place are sure to be handed out, or are under a lease. Only what the next claim acts on counts.
-- KEYS: stream, waiting, held, leases. ARGV: length in ms of a lease for nobody, then the first bytes of each packed task.
-- Answers for each: 1 sure, 0 to be offered; what was left of it is gone then.
local stream, waiting, held, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, last = clock(), delivered(stream)
local out = {}
for i = 2, #ARGV do
  local task, sure = task_of(ARGV[i]), 0
  local text = redis.call('HGET', held, task)
  local lease = read_lease(text)
  if lease then
    if lease.ends > now + lease.length then
      lease.ends = now
      write_lease(held, leases, task, lease)
    elseif tonumber(redis.call('ZSCORE', leases, task) or -1) ~= lease.ends then
      redis.call('ZADD', leases, string.format('%d', lease.ends), task)
    end
    sure = 1
  else
    if text then
      redis.call('HDEL', held, task)
    end
    local entry = redis.call('HGET', waiting, task)
    local packed = entry and entry_at(stream, entry)
    if packed and string.sub(packed, 1, #ARGV[i]) == ARGV[i] then
      if not is_after(entry, last) then
        -- It was handed out, and Redis forgot to whom. Whoever has it has so long to say so; then it is claimed again.
        local length = tonumber(ARGV[1])
        write_lease(held, leases, task,
          { token = '0', worker = '-', start = '0', entry = entry, ends = now + length, length = length })
      end
      sure = 1
    elseif entry then
      redis.call('HDEL', waiting, task)
      if packed and task_of(packed) == task then
        drop(stream, entry)
      end
    end
  end
  out[#out + 1] = sure
end
return out
