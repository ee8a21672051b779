"""The names of all callbacks, by the interpreter that calls them."""

from typing import Final

from events.identifiers import Level

# In the filters' interpreter.
RECEIVED_INSTANCE: Final = "ReceivedInstanceFilter"
RECEIVED_C_STORE: Final = "ReceivedCStoreInstanceFilter"
# In the main one, as are all event callbacks.
OUTGOING_C_STORE: Final = "OutgoingCStoreInstanceFilter"
INCOMING_HTTP: Final = "IncomingHttpRequestFilter"
INCOMING_FIND: Final = "IncomingFindRequestFilter"
INCOMING_WORKLIST: Final = "IncomingWorklistRequestFilter"
OUTGOING_FIND: Final = "OutgoingFindRequestFilter"
INITIALIZE: Final = "Initialize"
FINALIZE: Final = "Finalize"

FILTERS: Final = (
    RECEIVED_INSTANCE,
    RECEIVED_C_STORE,
    OUTGOING_C_STORE,
    INCOMING_HTTP,
    INCOMING_FIND,
    INCOMING_WORKLIST,
    OUTGOING_FIND,
)
_LEVELS: Final = [level.name.capitalize() for level in Level]
EVENTS: Final = (
    "OnStoredInstance",
    *(f"OnStable{level}" for level in _LEVELS[:-1]),  # instances have no stability
    *(f"OnDeleted{level}" for level in _LEVELS),
    *(f"OnUpdated{level}" for level in _LEVELS),
    *(f"OnJob{end}" for end in ("Submitted", "Success", "Failure")),
    "OnHeartBeat",
)
ALL: Final = (*FILTERS, INITIALIZE, FINALIZE, *EVENTS)
