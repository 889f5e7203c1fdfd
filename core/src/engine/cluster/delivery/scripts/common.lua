-- What the scripts have in common. Each of them works on the keys of places: a place is one kind in one shard, with
--   stream   the entries of tasks that wait or are held; entry: t, the task packed
--   waiting  hash: task -> its entry. An entry that is not named here is left over and worth nothing
--   held     hash: task -> token, worker, start, entry, end of the lease, length of the lease in ms. Token 0: nobody's
--   leases   sorted set: task -> end of the lease. Only an index of `held`, which is right where they differ
-- A task is named by the 16 bytes of its id, which are in a packed task after version and row.
local function task_of(packed)
  return string.sub(packed or "", 10, 25)
end

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read_lease(text)
  local token, worker, start, entry, ends, length = string.match(text or '', '^(%S+) (%S+) (%S+) (%S+) (%d+) (%d+)$')
  if token then
    return { token = token, worker = worker, start = start, entry = entry, ends = tonumber(ends), length = tonumber(length) }
  end
end

local function write_lease(held, leases, task, lease)
  local ends = string.format('%d', lease.ends)
  redis.call('HSET', held, task,
    table.concat({ lease.token, lease.worker, lease.start, lease.entry, ends, string.format('%d', lease.length) }, ' '))
  redis.call('ZADD', leases, ends, task)
end

-- One that ends later than a lease of its length can is of another clock.
local function is_live(lease, now)
  return lease.ends > now and lease.ends <= now + lease.length
end

local function drop(stream, entry)
  redis.call('XACK', stream, 'workers', entry)
  redis.call('XDEL', stream, entry)
end

-- The entry's task, if there is such an entry.
local function entry_at(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  return found and found[2][2]
end

local function split(entry)
  local time, number = string.match(entry, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(number)
end

local function is_after(entry, other)
  local time, number = split(entry)
  local other_time, other_number = split(other)
  return time > other_time or (time == other_time and number > other_number)
end

-- Makes sure that a stream which is there has its group, and that new entries reach it. Answers the entry up to which
-- the group has been handed out.
local function delivered(stream)
  if redis.call('EXISTS', stream) == 0 then
    return '0-0'
  end
  local position
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #group, 2 do
      fields[group[i]] = group[i + 1]
    end
    if fields['name'] == 'workers' then
      position = fields['last-delivered-id']
    end
  end
  if not position then
    redis.call('XGROUP', 'CREATE', stream, 'workers', '0')
    return '0-0'
  end
  local info, newest = redis.call('XINFO', 'STREAM', stream), '0-0'
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      newest = info[i + 1]
    end
  end
  if is_after(position, newest) then
    redis.call('XGROUP', 'SETID', stream, 'workers', '0')
    return '0-0'
  end
  return position
end
