function IncomingWorklistRequestFilter(query, origin)
PrintRecursive(query)
PrintRecursive(origin)

-- Implements the same behavior as the "FilterIssuerAet"
-- option of the sample worklist plugin
query['0040,0100'][1]['0040,0001'] = origin['RemoteAet']

return query
end
