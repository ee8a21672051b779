"""The settings as they are now: the configuration, and over it what REST has changed for all processes."""

from dataclasses import replace

from actors.services.ingest.settings import IngestSettings
from actors.services.remote.modalities import Modalities
from api.dicom.settings import DicomSettings
from api.rest import runtime
from store.views.views import Views
from tools.server.composition import ServerSettings


class RuntimeSettings:
    """Read again for each upload and association."""

    def __init__(self, settings: ServerSettings, views: Views, modalities: Modalities) -> None:
        self._settings = settings
        self._views = views
        self._modalities = modalities

    def ingest(self) -> IngestSettings:
        with self._views.snapshot() as snapshot:
            encoding = snapshot.setting(runtime.DEFAULT_ENCODING)
        configured = self._settings.ingest
        return configured if encoding is None else replace(configured, default_encoding=encoding)

    def dicom(self) -> DicomSettings:
        configured = replace(self._settings.dicom, modalities=self._modalities.list())
        with self._views.snapshot() as snapshot:
            syntaxes = snapshot.setting(runtime.ACCEPTED_TRANSFER_SYNTAXES)
            unknown = snapshot.setting(runtime.UNKNOWN_SOP_CLASS_ACCEPTED)
            encoding = snapshot.setting(runtime.DEFAULT_ENCODING)
        if encoding is not None:
            configured = replace(configured, find=replace(configured.find, default_encoding=encoding))
        if syntaxes is not None:
            configured = replace(configured, accepted_transfer_syntaxes=tuple(syntaxes))
        return configured if unknown is None else replace(configured, unknown_sop_class_accepted=unknown)
