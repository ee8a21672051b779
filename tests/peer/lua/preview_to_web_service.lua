function OnStoredInstance(instanceId, tags, metadata)
local preview = RestApiGet('/instances/' .. instanceId .. '/preview')
local headers = {
["content-type"] = "image/png",
}
HttpPost("http://localhost/my-web-service/instance-preview", preview, headers)
end
