-- What the filters say of an instance stands in its patient's name.

local answers = {
  yes = function() return true end,
  no = function() return false end,
  yes_and_more = function() return true, 1 end,
  no_and_more = function() return false, true end,
  one = function() return 1 end,
  zero = function() return 0 end,
  float = function() return 1.5 end,
  text = function() return 'true' end,
  digits = function() return '42752' end,
  tables = function() return {} end,
  null = function() return nil end,
  nothing = function() end,
  error = function() error('an error of the script') end,
  fault = function() return answers.of.nothing end,
  status = function() return 0xA700 end,
  other_status = function() return 0x0110 end,
  changed = function(dicom) dicom.PatientName = 'changed' return true end,
}

function ReceivedInstanceFilter(dicom, ...)
  trace('ReceivedInstanceFilter', dicom.SOPInstanceUID, ...)
  local f = answers[dicom.PatientName]
  if f then return f(dicom) end
  return true
end

function ReceivedCStoreInstanceFilter(dicom, ...)
  local name = dicom.PatientName:match('^c_(.*)')
  if name then trace('ReceivedCStoreInstanceFilter', dicom.SOPInstanceUID, ...) end
  if name then return answers[name](dicom) end
  return _LuaContext and 1 or 0 -- 1.12.7, which has this global, takes 0 for a refusal and anything else for 0
end
