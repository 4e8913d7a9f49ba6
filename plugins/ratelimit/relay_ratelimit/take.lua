-- Ask every limit of one request; only if all of them permit it, take from all of them.
--
-- KEYS: one per limit. ARGV: the request's id, then for each limit: window, limit, cost.
--   A rate: window in microseconds; cost in its units, from 1 to the limit.
--   Slots: window 0; cost is the lease in microseconds, after which a slot whose holder died is free again.
-- Returns: the server's time, then for each limit: permitted (1 or 0), remaining, microseconds until it is
-- whole again, microseconds to wait (0 where it permits).
--
-- Times are whole microseconds: numbers below 2^53, which Lua's doubles hold exactly.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id = ARGV[1]
local limits, permitted = {}, true

for i, key in ipairs(KEYS) do
  local it = {window = tonumber(ARGV[3 * i - 1]), limit = tonumber(ARGV[3 * i]), cost = tonumber(ARGV[3 * i + 1])}
  if it.window == 0 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
    it.used = redis.call('ZCARD', key)
    it.wait = it.used < it.limit and 0 or 1000000
  else
    local state = redis.call('HMGET', key, 'due', 'start', 'used')
    it.price = math.floor(it.cost * it.window / it.limit)
    it.due = math.max(tonumber(state[1] or 0), now)
    it.start, it.used = tonumber(state[2] or 0), tonumber(state[3] or 0)
    if it.start + it.window <= now then
      it.start, it.used = now, 0
    end
    it.wait = math.max(0, it.due + it.price - now - it.window)
    if it.used + it.cost > it.limit then
      it.wait = math.max(it.wait, it.start + it.window - now)
    end
  end
  permitted = permitted and it.wait == 0
  limits[i] = it
end

local answer = {now}
for i, key in ipairs(KEYS) do
  local it = limits[i]
  local remaining, reset
  if it.window == 0 then
    if permitted then
      redis.call('ZADD', key, string.format('%.0f', now + it.cost), id)
      redis.call('PEXPIRE', key, math.ceil(it.cost / 1000))
      it.used = it.used + 1
    end
    remaining, reset = it.limit - it.used, 0
  else
    if permitted then
      it.due, it.used = it.due + it.price, it.used + it.cost
      redis.call('HSET', key, 'due', string.format('%.0f', it.due), 'start', string.format('%.0f', it.start),
        'used', string.format('%.0f', it.used))
      redis.call('PEXPIRE', key, math.ceil((math.max(it.due, it.start + it.window) - now) / 1000))
    end
    remaining = math.min(it.limit - it.used, math.floor((it.window - it.due + now) * it.limit / it.window))
    reset = it.used > 0 and math.max(it.due, it.start + it.window) - now or it.due - now
  end
  answer[#answer + 1] = it.wait == 0 and 1 or 0
  answer[#answer + 1] = math.max(0, remaining)
  answer[#answer + 1] = reset
  answer[#answer + 1] = it.wait
end
return answer
