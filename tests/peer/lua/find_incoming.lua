function IncomingFindRequestFilter(query, origin)
-- First display the content of the C-Find query
PrintRecursive(query)
PrintRecursive(origin)

-- Remove the "PrivateCreator" tag from the query
local v = query
v['5555,0010'] = nil

return v
end
