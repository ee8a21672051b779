function ReceivedInstanceFilter(dicom, origin, info)

PrintRecursive(dicom)
-- Accept all incoming instances (default behavior)
return true
end
