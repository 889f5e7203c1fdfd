-- POSTs with a bearer token from a file, each token once: ARGS are file, path, body, threads.
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
  once = #requests > 1
end

function request()
  at = at + 1
  if at > #requests then
    -- One token serves every request; many serve one each.
    if once then wrk.thread:stop() end
    at = 1
  end
  return requests[at]
end
