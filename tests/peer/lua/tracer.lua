-- Every callback prints its arguments in one line: members of tables in the order of their keys, strings in ASCII.

local function text(s)
  return '"' .. s:gsub('[^ !#-~]', function(c) return string.format('\\%03d', c:byte()) end) .. '"'
end

local function shown(value)
  if type(value) == 'string' then return text(value) end
  if type(value) ~= 'table' then return type(value) .. ':' .. tostring(value) end
  local members = {}
  for key, member in pairs(value) do table.insert(members, shown(key) .. '=' .. shown(member)) end
  table.sort(members)
  return '{' .. table.concat(members, ', ') .. '}'
end

function trace(name, ...)
  local all = {}
  for i = 1, select('#', ...) do all[i] = shown((select(i, ...))) end
  print('@ ' .. name .. '(' .. table.concat(all, ', ') .. ')')
end

print('@ loading')

function Initialize(...) trace('Initialize', ...) end
function Finalize(...) trace('Finalize', ...) end
function ReceivedInstanceFilter(...) trace('ReceivedInstanceFilter', ...) return true end
function IncomingFindRequestFilter(...) trace('IncomingFindRequestFilter', ...) return (...) end
function OutgoingFindRequestFilter(...) trace('OutgoingFindRequestFilter', ...) return (...) end

for _, name in ipairs {
  'OnStoredInstance', 'OnStablePatient', 'OnStableStudy', 'OnStableSeries',
  'OnDeletedPatient', 'OnDeletedStudy', 'OnDeletedSeries', 'OnDeletedInstance',
  'OnUpdatedPatient', 'OnUpdatedStudy', 'OnUpdatedSeries', 'OnUpdatedInstance',
  'OnJobSubmitted', 'OnJobFailure', 'OnJobSuccess',
} do
  _G[name] = function(...) trace(name, ...) end
end
