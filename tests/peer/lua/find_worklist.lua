-- Whoever asks is shown the procedures of his own station alone.
function IncomingWorklistRequestFilter(query, origin)
  PrintRecursive(query)
  PrintRecursive(origin)
  query['0040,0100'][1]['0040,0001'] = origin['RemoteAet']
  return query
end
