-- Who is called David goes to the modality, everybody is deleted.
function OnStoredInstance(instance, tags)
  local name = string.lower(tags['PatientName'])
  if string.find(name, 'david') ~= nil then
    Delete(SendToModality(instance, 'sample'))
  else
    Delete(instance)
  end
end
