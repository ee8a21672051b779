-- What a script makes of a question to a modality stands in its AccessionNumber.

local changes = {
  empty = function() return {} end,
  no_stars = function(query)
    for key, value in pairs(query) do
      if value == '*' then query[key] = '' end
    end
    return query
  end,
  names = function(query)
    query.PatientID = 42
    query['0008,0020'] = nil -- of two spellings of a tag either may win
    query['0008-0020'] = '20200101'
    query['00081030'] = 'x*'
    return query
  end,
  level = function(query)
    query['0008,0052'] = 'SERIES'
    return query
  end,
  rows = function(query)
    query.Rows = 5
    query['5555,0010'] = 'private'
    return query
  end,
  charset = function(query)
    query['0008,0005'] = 'ISO_IR 192'
    query['0010,0010'] = '山田*'
    return query
  end,
  no_table = function() return 5 end,
  nothing = function() end,
  of_table = function(query)
    query.PatientID = {'x'}
    return query
  end,
  of_boolean = function(query)
    query.PatientID = true
    return query
  end,
  nonsense = function(query)
    query.nonsense = 'x'
    return query
  end,
  bad_charset = function(query)
    query.SpecificCharacterSet = 'NOPE'
    return query
  end,
  no_number = function(query)
    query.Rows = 'x'
    return query
  end,
  error = function() error('an error of the script') end,
}

function OutgoingFindRequestFilter(query, ...)
  trace('OutgoingFindRequestFilter', query, ...)
  local f = changes[query['0008,0050']]
  if f then return f(query) end
  return query
end
