-- Lets go of tasks of one shard that are final, gone, or due later.
-- KEYS: known, held, inflight, then stream and leases of each kind by its code. ARGV: rows.
local entries, gone = {}, {}
for _, row in ipairs(ARGV) do
  local worker, entry, kind = string.match(redis.call('HGET', KEYS[2], row) or '', '^%S+ (%S+) %S+ (%S+) (%d+)$')
  if worker then
    kind = tonumber(kind)
    redis.call('HDEL', KEYS[2], row)
    redis.call('ZREM', KEYS[5 + 2 * kind], row)
    gone[worker] = (gone[worker] or 0) + 1
    if entry ~= '-' then
      entries[kind] = entries[kind] or {}
      table.insert(entries[kind], entry)
    end
  end
  redis.call('SREM', KEYS[1], row)
end
for kind, ids in pairs(entries) do
  redis.call('XACK', KEYS[4 + 2 * kind], 'workers', unpack(ids))
  redis.call('XDEL', KEYS[4 + 2 * kind], unpack(ids))
end
for worker, count in pairs(gone) do
  if redis.call('HINCRBY', KEYS[3], worker, -count) <= 0 then
    redis.call('HDEL', KEYS[3], worker)
  end
end
return 0
