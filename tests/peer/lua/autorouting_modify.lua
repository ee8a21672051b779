-- As a chain: change a tag, send the result, delete both. Results of modifications are left alone.
function OnStoredInstance(original, tags, metadata)
  if metadata['ModifiedFrom'] or metadata['AnonymizedFrom'] then return end
  local changed = ModifyInstance(original, { StationName = 'Station 7' }, { 'MilitaryRank' }, true)
  Delete(SendToModality(changed, 'sample'))
  Delete(original)
end
