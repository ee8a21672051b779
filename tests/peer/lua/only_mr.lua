function ReceivedInstanceFilter(dicom) return dicom.Modality == 'MR' end
