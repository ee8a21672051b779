"""The DICOM network side as acceptor (SCP): associations, C-ECHO, C-STORE, C-FIND, C-GET, C-MOVE.

Bytes to values: in `actors.wire.dicom` and `store.dicom.received`. Decisions: `settings`, `access`, `sop_classes`, `negotiation`, `status`.
Input and output: `server` (`places` is what the servers of all gateways share), `acceptor`, which runs an association, and
`association`, which is what services see of it.
Services: `services`, `echo_scp`, `store_scp`, `find_scp`, `get_scp`, `move_scp` (the last two share `retrieve`; `sending`
is the thread of a C-MOVE). A new service is a module with a `Service` and one line in the gateway.
"""
