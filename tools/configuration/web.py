"""What is wrong with the options of web pages, folders that are served and CORS, beyond the form of each: it depends on the disk and on other options."""

from collections.abc import Iterator

from actors.messages.dicomweb_settings import DICOM_WEB
from api.rest.serving.cors_settings import ANY, CorsSettings
from api.rest.serving.folder_settings import SERVE_FOLDERS
from tools.configuration.values import Values


def web_problems(values: Values) -> Iterator[tuple[str, str]]:
    """Yield an option and what is wrong with it."""
    dicom_web = values.value(DICOM_WEB)
    roots = {f"/{root.strip('/')}" for root in (dicom_web.root, dicom_web.wado_root)} - {"/"}
    for uri, folder in values.value(SERVE_FOLDERS).folders.items():
        if not folder.is_dir():
            yield SERVE_FOLDERS.name, f"{uri!r:.60}: {folder} is no folder"
        if any(uri == root or uri.startswith(f"{root}/") for root in roots):
            yield SERVE_FOLDERS.name, f"{uri!r:.60}: DICOMweb is served there (DicomWeb); choose another name"
    cors = values.fill(CorsSettings)
    if cors.allows_credentials and ANY in cors.origins:
        reason = "must name the origins: browsers give credentials to none where all are allowed (CorsAllowCredentials)"
        yield "CorsAllowedOrigins", reason
