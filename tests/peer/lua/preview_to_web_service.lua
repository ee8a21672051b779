function OnStoredInstance(instance)
  local preview = RestApiGet('/instances/' .. instance .. '/preview')
  HttpPost('http://localhost/my-web-service/instance-preview', preview, { ['content-type'] = 'image/png' })
end
