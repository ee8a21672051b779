-- Requests with the header X-Traced are printed, and their path says what the filter answers.

local answers = {
  ['/no'] = function() return false end,
  ['/no/more'] = function() return false, true end,
  ['/nothing'] = function() end,
  ['/null'] = function() return nil end,
  ['/one'] = function() return 1 end,
  ['/text'] = function() return 'true' end,
  ['/table'] = function() return {} end,
  ['/error'] = function() error('an error of the script') end,
}

function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  if not headers['x-traced'] then return true end
  headers.host = nil -- holds the port
  trace('IncomingHttpRequestFilter', method, uri, ip, username, headers)
  local f = answers[uri]
  if f then return f() end
  return true
end
