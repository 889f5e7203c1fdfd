-- Takes in leases that Redis has lost, for workers that still hold them, before the sweep rings for their tasks.
-- KEYS: known, held, inflight, then the leases of each kind by its code.
-- ARGV: worker, lease in ms, started at, then row, token and kind for each. Answers for each: 0 taken in, 1 lost.
local time = redis.call('TIME')
local expires = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local out = {}
for i = 4, #ARGV, 3 do
  local row, token, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('SADD', KEYS[1], row) == 1 then
    redis.call('HSET', KEYS[2], row, table.concat({ token, ARGV[1], ARGV[3], '-', kind }, ' '))
    redis.call('ZADD', KEYS[4 + tonumber(kind)], expires, row)
    redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
    out[#out + 1] = 0
  else
    out[#out + 1] = 1
  end
end
return out
