function OnStoredInstance(instance) Delete(SendToModality(instance, 'sample')) end
