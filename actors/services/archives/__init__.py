"""ZIP archives of stored instances, made while they leave: nothing of any size is ever in memory as a whole.

`selection` says which resources are asked for and yields their instances in Orthanc's order, `names` how members are called, `content` reads a
member's bytes, `packing` compresses it, `pace` lets senders go first, `zip_stream` writes the format, `report` tells of damage, `archive` puts them together.
The directory of media is `store.dicom.dicomdir`.
"""
