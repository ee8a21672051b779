function OutgoingFindRequestFilter(query, modality)
for key, value in pairs(query) do
if value == '*' then
query[key] = ''
end
end

return query
end
