-- GETs with one bearer token: ARGS are token, If-None-Match or "", x-min-sequence or "", threads.
function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  if args[2] ~= "" then wrk.headers["If-None-Match"] = args[2] end
  if args[3] ~= "" then wrk.headers["X-Min-Sequence"] = args[3] end
end
