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
-- What Lua can hand to one command is bounded.
local at_once = 1000
-- A lease as `write_lease` writes it, around its entry.
local over = string.format('%d', now + length)
local before_entry = table.concat({ token, worker, started, '' }, ' ')
local after_entry = table.concat({ '', over, string.format('%d', length) }, ' ')

for q = 6, #ARGV, 3 do
  local queue, kind, first = ARGV[q], ARGV[q + 1], 4 * (q - 6) / 3

  local function room()
    return math.min(max - #out / 2, tonumber(ARGV[q + 2]) - (taken[kind] or 0))
  end

  local stream, waiting, held, leases = KEYS[first + 1], KEYS[first + 2], KEYS[first + 3], KEYS[first + 4]

  -- Leases that begin, written all at once.
  local holders, ends = {}, {}

  local function hold(task, entry, packed)
    holders[#holders + 1] = task
    holders[#holders + 1] = before_entry .. entry .. after_entry
    ends[#ends + 1] = over
    ends[#ends + 1] = task
    out[#out + 1] = queue
    out[#out + 1] = packed
    taken[kind] = (taken[kind] or 0) + 1
  end

  local function write()
    if #holders > 0 then
      redis.call('HSET', held, unpack(holders))
      redis.call('ZADD', leases, unpack(ends))
      holders, ends = {}, {}
    end
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
    for _, task in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, math.min(wanted, at_once))) do
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
            claimed = entry_at(stream, entry)
          else
            drop(stream, entry)
          end
        end
        if claimed and task_of(claimed) == task then
          hold(task, entry, claimed)
        elseif entry and redis.call('HGET', waiting, task) == entry then
          -- Nothing is left of it here: the sweep finds it in the ledger.
          redis.call('HDEL', waiting, task)
        end
      end
    end
  end
  write()
  wanted = room()
  while exists and wanted > 0 and most > 0 do
    -- One consumer for all, and nothing is pending: who holds what is in `held`.
    local count = math.min(wanted, at_once)
    local read = grouped('XREADGROUP', 'GROUP', 'workers', 'all', 'COUNT', count, 'NOACK', 'STREAMS', stream, '>')
    if not read then
      break
    end
    local items, tasks = read[1][2], {}
    for i, item in ipairs(items) do
      tasks[i] = task_of(item[2] and item[2][2])
    end
    local names, texts = redis.call('HMGET', waiting, unpack(tasks)), redis.call('HMGET', held, unpack(tasks))
    for i, item in ipairs(items) do
      local entry, task = item[1], tasks[i]
      most = most - 1
      if names[i] == entry then
        local lease = texts[i] and read_lease(texts[i])
        if not lease or not is_live(lease, now) then
          hold(task, entry, item[2][2])
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
    write()
    if #items < count then
      break
    end
    wanted = room()
  end
end
return out
