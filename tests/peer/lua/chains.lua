-- What is done with a patient depends on who it is: the operations of one callback, in one job.
local function first(path, member) return ParseJson(RestApiGet(path))[member][1] end

local stored = {
  PAT301 = function(id) Delete(CallSystem(SendToModality(id, 'sample', 'LOCAL'), 'true', {'one', 2})) end,
  PAT302 = function(id) SendToModality(id, 'sample') CallSystem(id, 'false', {}) CallSystem(id, 'true', {}) end,
  PAT303 = function(id) Delete(id) SendToModality(id, 'nope') end,
  PAT304 = function(id) Delete(id) error('after all') end,
}

local stable = {
  PAT311 = function(id) SendToModality(id, 'sample') end,
  PAT312 = function(id) SendToModality(first('/patients/' .. id, 'Studies'), 'sample') end,
  PAT313 = function(id) Delete(SendToModality(first('/studies/' .. first('/patients/' .. id, 'Studies'), 'Series'), 'sample')) end,
}

function OnStoredInstance(id, tags)
  if stored[tags.PatientID] then stored[tags.PatientID](id) end
end

function OnStablePatient(id, tags)
  if stable[tags.PatientID] then stable[tags.PatientID](id) end
end
