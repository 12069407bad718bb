-- What wrk asks, out of the file that ASK names (a Lua table that load.py wrote), and one line of JSON about what came of it.

local ask = dofile(os.getenv("ASK"))
local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

wrk.method, wrk.path, wrk.body = ask.method, ask.paths[1], ask.body
for name, value in pairs(ask.headers) do
   wrk.headers[name] = value
end

-- One path needs no function: wrk then sends the same bytes again and again.
if ask.fresh then
   -- A path of its own for every request: its beginning, which thread, and a count.
   local count = 0
   function request()
      count = count + 1
      return wrk.format(nil, wrk.path .. number .. "-" .. count)
   end
elseif #ask.paths > 1 then
   local requests, count = {}, 0
   function init()
      for place, path in ipairs(ask.paths) do
         requests[place] = wrk.format(nil, path)
      end
   end
   function request()
      count = count % #requests + 1
      return requests[count]
   end
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.timeout
   io.write(string.format(
      '{"answers": %d, "refused": %d, "failed": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, errors.status, failed, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
