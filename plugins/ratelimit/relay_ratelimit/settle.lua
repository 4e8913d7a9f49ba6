-- At the end of a request: free its slots and put the true cost in the place of the estimate.
--
-- KEYS: one per limit. ARGV: the request's id, when it was permitted, then for each limit: window, limit, cost
-- before, cost after; window 0 means slots. What turns out to be less is given back where it was taken; what is
-- more counts from now, however long the request took.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id, at = ARGV[1], tonumber(ARGV[2])

for i, key in ipairs(KEYS) do
  local window, limit = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  local before, after = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
  if window == 0 then
    redis.call('ZREM', key, id)
  elseif before ~= after then
    local state = redis.call('HMGET', key, 'due', 'start', 'used')
    local due, start, used = tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or 0)
    if after > before then
      if start + window <= now then
        start, used = now, 0
      end
      due, used = math.max(due, now), used + after - before
    elseif at >= start then
      used = math.max(0, used + after - before)
    end
    due = due + math.floor(after * window / limit) - math.floor(before * window / limit)
    local ends = math.max(due, start + window)
    if ends > now then
      redis.call('HSET', key, 'due', string.format('%.0f', due), 'start', string.format('%.0f', start),
        'used', string.format('%.0f', used))
      redis.call('PEXPIRE', key, math.ceil((ends - now) / 1000))
    else
      redis.call('DEL', key)
    end
  end
end
return {now}
