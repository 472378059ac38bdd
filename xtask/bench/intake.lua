-- One page view per request, each with ids of its own. `salt` (8 characters) is set in front of this file.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local head = '{"v":1,"site":"default","page":"p' .. salt
local middle = '","url":"http://127.0.0.1/blog/how-we-ship?utm_source=letter","ref":"https://example.com/a/b",'
  .. '"w":1280,"events":[{"id":"e' .. salt
local tail = '","type":"pageview","t":0}]}'
local format, number = string.format, 0
function request()
  number = number + 1
  local id = format("%012x", number)
  return wrk.format(nil, nil, nil, head .. id .. middle .. id .. tail)
end
