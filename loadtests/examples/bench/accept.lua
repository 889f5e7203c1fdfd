-- POSTs with bearer tokens from a file: ARGS are file, path, body, threads. A user has one open replacement, so for those each
-- token serves once; else they serve by turns.
local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  requests, at = {}, 0
  local line_number, of = 0, tonumber(args[4])
  for line in io.lines(args[1]) do
    if line_number % of == id then
      local headers = { ["Authorization"] = "Bearer " .. line, ["Content-Type"] = "application/json" }
      requests[#requests + 1] = wrk.format("POST", args[2], headers, args[3])
    end
    line_number = line_number + 1
  end
  once = #requests > 1 and args[2]:find("replacements") ~= nil
end

function request()
  at = at + 1
  if at > #requests then
    if once then wrk.thread:stop() end
    at = 1
  end
  return requests[at]
end
