-- Everybody may read, the administrator may do everything.
function IncomingHttpRequestFilter(method, uri, ip, username)
  return method == 'GET' or username == 'admin'
end
