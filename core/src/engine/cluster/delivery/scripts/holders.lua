-- How many tasks of one shard each worker holds.
-- KEYS: held of each kind. Answers worker and count for each worker.
local counts = {}
for _, held in ipairs(KEYS) do
  for _, text in ipairs(redis.call('HVALS', held)) do
    local lease = read_lease(text)
    if lease and lease.token ~= '0' then
      counts[lease.worker] = (counts[lease.worker] or 0) + 1
    end
  end
end
local out = {}
for worker, count in pairs(counts) do
  out[#out + 1] = { worker, count }
end
return out
