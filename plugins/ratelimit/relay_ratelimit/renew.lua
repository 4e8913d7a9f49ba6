-- Prolong the slots of requests that are still running.
--
-- KEYS: one per slot. ARGV: the lease in microseconds, then the id that holds each. A slot that was freed or has
-- run out is not taken again.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease = tonumber(ARGV[1])

for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', string.format('%.0f', now + lease), ARGV[i + 1])
  redis.call('PEXPIRE', key, math.ceil(lease / 1000))
end
return {now}
