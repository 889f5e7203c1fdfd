-- Renews leases of one shard.
-- KEYS: known, held, then the leases of each kind by its code. ARGV: lease in ms, then row and token for each.
-- Answers for each: 0 renewed, 1 lost, 2 nothing is known of it.
local time = redis.call('TIME')
local expires = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local out = {}
for i = 2, #ARGV, 2 do
  local token, kind = string.match(redis.call('HGET', KEYS[2], ARGV[i]) or '', '^(%S+) .* (%d+)$')
  if token == ARGV[i + 1] then
    redis.call('ZADD', KEYS[3 + tonumber(kind)], expires, ARGV[i])
    out[#out + 1] = 0
  elseif token or redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then
    out[#out + 1] = 1
  else
    out[#out + 1] = 2
  end
end
return out
