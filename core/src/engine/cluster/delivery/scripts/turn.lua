-- Whose turn it is to sweep.
-- KEYS: sweeper. ARGV: who asks, for how long in ms, how long a turn can be, on which server of Postgres.
-- Answers 0 another's, 1 still the asker's, 2 the asker's from now on, 3 the same, and nothing was known of any turn
-- before: this Redis is new or has lost everything, 4 another's, on another server.
local now = clock()
local owner, over, server = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+) (%d+)$')
-- One that is over later than a turn can be is of another clock.
local left = owner and tonumber(over) - now or 0
if owner and owner ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[3]) then
  return (server ~= ARGV[4] and server ~= '0' and ARGV[4] ~= '0') and 4 or 0
end
redis.call('SET', KEYS[1], table.concat({ ARGV[1], string.format('%d', now + tonumber(ARGV[2])), ARGV[4] }, ' '))
if not owner then
  return 3
end
return owner == ARGV[1] and 1 or 2
