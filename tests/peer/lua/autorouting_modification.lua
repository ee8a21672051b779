-- By REST alone: change a tag, store the result, send it, delete both. What comes from a script is left alone.
function OnStoredInstance(original, tags, metadata, origin)
  if origin['RequestOrigin'] == 'Lua' then return end
  local command = {
    Replace = { StationName = 'Station 7', ['0031-1020'] = 'private' },
    Remove = { 'MilitaryRank' },
  }
  local file = RestApiPost('/instances/' .. original .. '/modify', DumpJson(command, true))
  local changed = ParseJson(RestApiPost('/instances/', file)) ['ID']
  RestApiPost('/modalities/sample/store', changed)
  for _, instance in ipairs { original, changed } do RestApiDelete('/instances/' .. instance) end
end
