-- A private creator that some manufacturer sends is taken out of queries.
function IncomingFindRequestFilter(query, origin)
  PrintRecursive(query)
  PrintRecursive(origin)
  query['5555,0010'] = nil
  return query
end
