/**
 * Token buckets in Redis, shared by all nodes of an installation: the arithmetic of
 * `local-buckets.ts`, in one script for all buckets of a request, atomic and by Redis's clock. A
 * bucket is stored as `<missing> <at>` and expires when it is full.
 */
import type { Redis } from "../../redis/redis.ts";
import { defineScript } from "../../redis/script.ts";
import { type Charge, capacityOf, type Outcome, unitsOfRequest } from "./local-buckets.ts";

// Lua's numbers are doubles, as here; `%.0f` writes all their digits.
const takeFromAll = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('MGET', unpack(KEYS))
local unit = ${unitsOfRequest}
local spent = {}
for i = 1, #KEYS do
  local rate = tonumber(ARGV[i])
  local capacity = tonumber(ARGV[#KEYS + i])
  local missing = 0
  if known[i] then
    local before, at = string.match(known[i], '^(%d+) (%d+)$')
    missing = math.max(0, tonumber(before) - math.max(0, now - tonumber(at)) * rate)
    missing = math.min(missing, capacity)
  end
  spent[i] = missing
  if missing + unit > capacity then
    return {i - 1, unpack(spent)}
  end
end
for i = 1, #KEYS do
  spent[i] = spent[i] + unit
  local bucket = string.format('%.0f %.0f', spent[i], now)
  redis.call('SET', KEYS[i], bucket, 'PX', math.ceil(spent[i] / tonumber(ARGV[i])))
end
return {-1, unpack(spent)}
`);

/** @throws RedisAbsent */
export async function takeFromRedis(redis: Redis, charges: readonly Charge[]): Promise<Outcome> {
  const reply = await redis.run((client) =>
    takeFromAll(
      client,
      charges.map(({ key }) => key),
      [...charges.map(({ perMinute }) => perMinute), ...charges.map(capacityOf)].map(String),
    ),
  );
  const [refused = -1, ...spent] = reply as number[]; // the script's reply
  return { refused, spent };
}
