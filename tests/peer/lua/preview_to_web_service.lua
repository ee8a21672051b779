function OnStoredInstance(instanceId)
  local preview = RestApiGet('/instances/' .. instanceId .. '/preview')
  local headers = {
    ["content-type"] = "image/png",
  }
  HttpPost("http://localhost/my-web-service/instance-preview", preview, headers)
end
