"""The DICOM upper layer and DIMSE commands, for whoever accepts associations and whoever requests them.

Bytes to values: `pdu`, `command`, `statuses`. Which answers are to be believed: `response`. Input and output of one socket: `connection`, `upper_layer`. Why it ends: `ending`.
"""
