-- Some modalities take an asterisk for a value.
function OutgoingFindRequestFilter(query)
  for tag, value in pairs(query) do
    if value == '*' then query[tag] = '' end
  end
  return query
end
