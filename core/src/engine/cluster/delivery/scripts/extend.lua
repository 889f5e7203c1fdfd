-- Renews leases of one place.
-- KEYS: held, leases. ARGV: lease in ms, then task and token for each.
-- Answers for each: 0 renewed, 1 lost, 2 nothing is known of it.
local now, length = clock(), tonumber(ARGV[1])
local out = {}
for i = 2, #ARGV, 2 do
  local lease = read_lease(redis.call('HGET', KEYS[1], ARGV[i]))
  if lease and lease.token == ARGV[i + 1] then
    lease.ends, lease.length = now + length, length
    write_lease(KEYS[1], KEYS[2], ARGV[i], lease)
    out[#out + 1] = 0
  else
    out[#out + 1] = lease and lease.token ~= '0' and 1 or 2
  end
end
return out
