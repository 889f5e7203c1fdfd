-- Hands out tasks of one shard, queue by queue: first those whose lease ran out, then those that wait, oldest first.
-- KEYS: stream, waiting, held and leases for each queue.
-- ARGV: worker, token, max, lease in ms, started at, then for each queue its number, the code of its kind and how many of
-- that kind at most.
-- Answers queue, task, queue, task, …
local worker, token, max, length, started = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local now = clock()
-- Entries that are worth nothing are passed over, so many in one call.
local most = max + 1000
local out = {}
-- How many of each kind.
local taken = {}

for q = 6, #ARGV, 3 do
  local queue, kind, first = ARGV[q], ARGV[q + 1], 4 * (q - 6) / 3

  local function room()
    return math.min(max - #out / 2, tonumber(ARGV[q + 2]) - (taken[kind] or 0))
  end

  local stream, waiting, held, leases = KEYS[first + 1], KEYS[first + 2], KEYS[first + 3], KEYS[first + 4]

  local function hold(task, entry, packed)
    write_lease(held, leases, task,
      { token = token, worker = worker, start = started, entry = entry, ends = now + length, length = length })
    out[#out + 1] = queue
    out[#out + 1] = packed
    taken[kind] = (taken[kind] or 0) + 1
  end

  -- Under the group's name; a group that was lost is made again, and everything is delivered once more.
  local function grouped(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then
      if not string.find(answer.err, 'NOGROUP', 1, true) then
        error(answer.err)
      end
      delivered(stream)
      answer = redis.call(...)
    end
    return answer
  end

  local wanted = room()
  local exists = wanted > 0 and redis.call('EXISTS', stream) == 1
  if wanted > 0 then
    for _, task in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, wanted)) do
      local lease = read_lease(redis.call('HGET', held, task))
      if lease and is_live(lease, now) then
        redis.call('ZADD', leases, string.format('%d', lease.ends), task)
      else
        redis.call('ZREM', leases, task)
        redis.call('HDEL', held, task)
        local entry = lease and lease.entry ~= '-' and lease.entry
        local claimed
        if entry and exists then
          if redis.call('HGET', waiting, task) == entry then
            claimed = grouped('XCLAIM', stream, 'workers', 'all', 0, entry, 'FORCE')[1]
          else
            drop(stream, entry)
          end
        end
        if claimed and task_of(claimed[2][2]) == task then
          hold(task, entry, claimed[2][2])
        elseif entry and redis.call('HGET', waiting, task) == entry then
          -- Nothing is left of it here: the sweep finds it in the ledger.
          redis.call('HDEL', waiting, task)
        end
      end
    end
  end
  wanted = room()
  while exists and wanted > 0 and most > 0 do
    -- One consumer for all: who holds what is in `held`, and a group forgets no consumer by itself.
    local read = grouped('XREADGROUP', 'GROUP', 'workers', 'all', 'COUNT', wanted, 'STREAMS', stream, '>')
    if not read then
      break
    end
    for _, item in ipairs(read[1][2]) do
      local entry, packed = item[1], item[2] and item[2][2] or ''
      local task = task_of(packed)
      most = most - 1
      if redis.call('HGET', waiting, task) == entry then
        local lease = read_lease(redis.call('HGET', held, task))
        if not lease or not is_live(lease, now) then
          hold(task, entry, packed)
        elseif lease.entry ~= entry then
          -- Held by one whose entry was lost; when the lease ends, this one is claimed.
          lease.entry = entry
          write_lease(held, leases, task, lease)
        end
      else
        -- Final, or offered again by another entry: this one is left over.
        drop(stream, entry)
      end
    end
    wanted = room()
  end
end
return out
