-- What one shard holds.
-- KEYS: held, inflight, then the stream of each kind. Answers: how many are held, worker and count for each worker, and
-- for each kind the oldest task that waits, or nothing.
local oldest = {}
for k = 3, #KEYS do
  oldest[k - 2] = ''
  if redis.call('EXISTS', KEYS[k]) == 1 then
    local group = redis.call('XINFO', 'GROUPS', KEYS[k])[1]
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then
        local first = redis.call('XRANGE', KEYS[k], '(' .. group[i + 1], '+', 'COUNT', 1)[1]
        oldest[k - 2] = first and first[2][4] or ''
      end
    end
  end
end
return { redis.call('HLEN', KEYS[1]), redis.call('HGETALL', KEYS[2]), oldest }
