"""The DICOM upper layer and DIMSE commands, for both sides: the acceptor and the requestor of associations.

Bytes to values: `pdu`, `command`, `statuses`. Which answers are to be believed: `response`. Input and output of one
socket: `connection`, `upper_layer`. Why it ends: `ending`.
"""
