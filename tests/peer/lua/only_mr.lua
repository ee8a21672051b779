function ReceivedInstanceFilter(dicom, origin, info)

-- Only allow incoming MR images
if dicom.Modality == 'MR' then
return true
else
return false
end
end
