function ReceivedInstanceFilter(dicom)
  PrintRecursive(dicom)
  return true
end
