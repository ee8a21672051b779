"""C-FIND of the modality worklist (PS3.4 Annex K): files of a folder, and entries that clients have made by REST.

As Orthanc 1.12.7 with its worklist plugin: an answer holds what the query names and the entry has. `FilterIssuerAet` takes the place of
Scheduled Station AE Title in the query. A script's IncomingWorklistRequestFilter replaces the query, also as far as it says what is
told. What is wrong with a query is answered by 0xC000. Files come first, by name, then entries by age.
"""

from functools import partial
from typing import Final

from actors.messages.worklist_settings import WorklistSettings
from actors.services.remote.modality import Operation
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from actors.services.worklists.folder import Entry, WorklistFolder
from actors.wire.dicom.command import Command, Field, encode_response
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.statuses import CANCELLED, PENDING, SUCCESS
from api.dicom.access import manufacturer_of
from api.dicom.answer_charset import encode_answer
from api.dicom.association import Association
from api.dicom.find_scp import IDENTIFIER_LIMIT_BYTES, send_answers, vr_of_query
from api.dicom.query_log import log_query
from api.dicom.service import FinalResponse, Service
from api.dicom.status import comment_on, find_status
from events.errors import InvalidRequest
from store.dicom.charsets import charset_of
from store.dicom.identifier import decode_dataset
from store.dicom.tags import SPECIFIC_CHARACTER_SET
from store.dicom.uids import WORKLIST_FIND
from store.dicom.worklist import describe, matches, parse_worklist_query
from store.views.views import Views
from store.views.worklists import list_worklists

_BY_REST: Final = "Utf8"  # such an entry has no character set of its own


def create_worklist_service(views: Views, settings: WorklistSettings, filters: ScriptFilters = NO_FILTERS) -> Service:
    return Service(
        field=Field.C_FIND,
        operation=Operation.FIND_WORKLIST,
        handle=_WorklistScp(views, settings, filters).handle,
        explain=lambda error: FinalResponse(find_status(error), comment_on(error)),
        abstract_syntaxes=frozenset({WORKLIST_FIND}),
    )


class _WorklistScp:
    def __init__(self, views: Views, settings: WorklistSettings, filters: ScriptFilters) -> None:
        self._views = views
        self._settings = settings
        self._filters = filters
        self._folder = None if settings.folder is None else WorklistFolder(settings.folder)

    def handle(self, association: Association, context: Context, command: Command) -> FinalResponse:
        """Send a pending response for each match."""
        data = association.read_identifier(IDENTIFIER_LIMIT_BYTES)
        default = association.settings.find.default_encoding
        asked, private_vrs = decode_dataset(data, context.transfer_syntax, default)
        log_query(association, command, asked)
        declared = asked.pop(SPECIFIC_CHARACTER_SET, None)
        asked = self._filters.filter_worklist(asked, association.origin, partial(manufacturer_of, association.settings))
        if not asked:
            raise InvalidRequest("a query that asks for nothing")
        keys = parse_worklist_query(
            asked,
            vr_of_query(private_vrs),
            case_sensitive_pn=association.settings.find.case_sensitive_pn,
            issuer=association.origin.remote_aet if self._settings.filters_issuer else "",
        )
        wished = charset_of(declared if isinstance(declared, str) else "", default).written
        with association.slots:
            found = [entry for entry in self._entries(default) if matches(keys, entry.values)]
            limit = self._settings.limit_answers or len(found)
            answers = [
                encode_answer(
                    describe(asked, entry.values, keys), context.transfer_syntax, default, (wished, entry.encoding)
                )
                for entry in found[:limit]
            ]
        pending = encode_response(command, PENDING, has_dataset=True)
        is_cancelled = send_answers(association, context, command, pending, answers)
        return FinalResponse(CANCELLED if is_cancelled or len(found) > limit else SUCCESS)

    def _entries(self, default_encoding: str) -> list[Entry]:
        """Raises StorageFailed if the folder cannot be read."""
        of_folder = [] if self._folder is None else self._folder.read(default_encoding)
        with self._views.snapshot() as snapshot:
            by_rest = list_worklists(snapshot)
        return [*of_folder, *(Entry(entry.values, _BY_REST) for entry in by_rest)]
