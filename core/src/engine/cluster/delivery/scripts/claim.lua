-- Hands out tasks of one shard: first those whose lease ran out, then those that wait, oldest first.
-- KEYS: known, held, inflight, then stream and leases for each kind asked for.
-- ARGV: worker, token, max, lease in ms, started at, then the code of each kind.
-- Answers kind, task, kind, task, …
local known, held, inflight = KEYS[1], KEYS[2], KEYS[3]
local worker, token, max, started = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = now + tonumber(ARGV[4])
local out = {}

local function hand_out(kind, stream, leases, entry, fields)
  local row = fields[2]
  -- Final or held meanwhile: this entry is left over from before.
  if redis.call('SISMEMBER', known, row) == 0 or redis.call('HEXISTS', held, row) == 1 then
    redis.call('XACK', stream, 'workers', entry)
    redis.call('XDEL', stream, entry)
    return
  end
  redis.call('HSET', held, row, table.concat({ token, worker, started, entry, kind }, ' '))
  redis.call('ZADD', leases, expires, row)
  out[#out + 1] = kind
  out[#out + 1] = fields[4]
end

for k = 6, #ARGV do
  local kind, stream, leases = ARGV[k], KEYS[2 * (k - 6) + 4], KEYS[2 * (k - 6) + 5]
  local wanted = max - #out / 2
  if wanted > 0 then
    -- None after a loss of everything: then leases may be such as were taken in again.
    local exists = redis.call('EXISTS', stream) == 1
    for _, row in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, wanted)) do
      local who, entry = string.match(redis.call('HGET', held, row) or '', '^%S+ (%S+) %S+ (%S+) ')
      redis.call('ZREM', leases, row)
      redis.call('HDEL', held, row)
      if who and redis.call('HINCRBY', inflight, who, -1) <= 0 then
        redis.call('HDEL', inflight, who)
      end
      local claimed = exists and entry and entry ~= '-'
        and redis.call('XCLAIM', stream, 'workers', 'all', 0, entry) or {}
      if claimed[1] then
        hand_out(kind, stream, leases, claimed[1][1], claimed[1][2])
      else
        -- Nothing left of it here: the sweep finds it in the ledger.
        redis.call('SREM', known, row)
      end
    end
    wanted = max - #out / 2
    -- One consumer for all: who holds what is in `held`, and a group forgets no consumer by itself.
    local read = exists and wanted > 0
      and redis.call('XREADGROUP', 'GROUP', 'workers', 'all', 'COUNT', wanted, 'STREAMS', stream, '>')
    if read then
      for _, entry in ipairs(read[1][2]) do
        hand_out(kind, stream, leases, entry[1], entry[2])
      end
    end
  end
end
if #out > 0 then
  redis.call('HINCRBY', inflight, worker, #out / 2)
end
return out
