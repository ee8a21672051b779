"""Paths of requests, in the one form in which they are compared."""

import posixpath


def normalize_path(path: str) -> str:
    """Return a path with single slashes and without `.` and `..`; a final slash stays, for error bodies show it."""
    path = path.partition("\0")[0]  # where Orthanc's strings end
    if "//" not in path and "/." not in path:
        return path or "/"
    normal = posixpath.normpath("/" + path.lstrip("/"))
    return normal + "/" if path.endswith("/") and normal != "/" else normal
