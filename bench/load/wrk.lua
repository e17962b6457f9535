-- Requests for wrk: a tenant and one of its contacts at random, each time.
-- Arguments: operation (list, one, insert, elsewhere), path prefix, file of "<tenant's ordinal> <token>" lines.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

local tenants, requests, operation = {}, {}, nil
local contacts_per_tenant = 200

function init(args)
  math.randomseed(os.time() * 31 + thread_number)
  operation = args[1]
  local prefix = args[2]
  for line in io.lines(args[3]) do
    local ordinal, token = line:match("^(%d+) (%S+)$")
    local headers = { Authorization = "Bearer " .. token }
    local request
    if operation == "list" then
      request = wrk.format("GET", prefix .. "/contacts?limit=25", headers)
    elseif operation == "elsewhere" then
      headers["X-Tenant"] = "bench-" .. ordinal
      request = wrk.format("GET", prefix .. "/contacts", headers)
    elseif operation == "one" then
      request = wrk.format("GET", prefix .. "/contacts/CONTACT", headers)
    else
      headers["Content-Type"] = "application/json"
      local body = '{"name":"Ada Lovelace","email":"ada@example.com","phone":"+44 20 7946 0000",'
        .. '"company":"Analytical Engines","notes":"Written by the benchmark"}'
      request = wrk.format("POST", prefix .. "/contacts", headers, body)
    end
    tenants[#tenants + 1] = tonumber(ordinal)
    requests[#requests + 1] = request
  end
end

function request()
  local n = math.random(#requests)
  if operation ~= "one" then return requests[n] end
  local contact = tenants[n] * 1000 + math.random(contacts_per_tenant)
  local id = string.format("01910000-0000-7000-8000-%012d", contact)
  return (requests[n]:gsub("CONTACT", id, 1))
end

-- One line of JSON, the last of the output.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.3f,"failed":%d,"p50Ms":%.3f,"p99Ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
