"""The headers `ETag`, `If-Match` and `If-None-Match` of metadata and attachments, and the tags of pictures that are made.

Orthanc's book shows the revision as the tag, `"3"`; Orthanc 1.12.7 makes it `"3-<MD5 of the value>"` and takes no other. Answers here have
the book's form, requests either. As in 1.12.7 quotes may be missing, what a request says is compared without `CheckRevisions`, too, and a
value that is not there yet is set whatever it says.
"""

import hashlib
import re
from collections.abc import Callable

import falcon

from actors.messages.commands.revisions import Seen
from api.errors import OutOfRange
from api.rest.serving.compression import COMPRESSES
from events.errors import RevisionConflict

_TAG = re.compile(r"\+?([0-9]{1,18})(?:-(.*))?", re.DOTALL)


def seen_by(req: falcon.Request) -> Seen | None:
    """Return what `If-Match` says, None where it says nothing. Raises OutOfRange."""
    return _read(req, "if-match")


def needed_of(req: falcon.Request) -> Seen:
    """Return the same where it has to say it: for a DELETE Orthanc looks at this first. Raises OutOfRange, RevisionConflict."""
    seen = seen_by(req)
    if seen is None:
        raise RevisionConflict('HTTP header "If-Match" is missing, as "CheckRevisions" is "true"')
    return seen


def send_tag(resp: falcon.Response, revision: int) -> None:
    resp.set_header("ETag", f'"{revision}"')


def is_known(req: falcon.Request, resp: falcon.Response, revision: int, md5: Callable[[], str]) -> bool:
    """Send the tag of a value; returns whether the client has this value, so that the answer is 304 without it. Raises OutOfRange."""
    send_tag(resp, revision)
    seen = _read(req, "If-None-Match")
    if seen is None or not seen.is_of(revision, md5):
        return False
    resp.status = falcon.HTTP_304
    return True


def tag_of_made(*origins: object) -> str:
    """Return the tag of a picture that is made of these, each time the same."""
    return hashlib.sha256(repr(origins).encode()).hexdigest()[:32]


def has_made(req: falcon.Request, tag: str) -> bool:
    """Tell whether the client has what is made, so that the answer is 304 and nothing is."""
    return any(each in {tag, "*"} for each in req.if_none_match or ())


def _read(req: falcon.Request, header: str) -> Seen | None:
    text = req.get_header(header)
    if text is None:
        return None
    text = text.strip()
    # The tag of an answer that was compressed (`api.rest.serving.compression`); Orthanc compresses none with a tag, and takes none.
    text = text.removeprefix("W/") if COMPRESSES in req.env else text
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    found = _TAG.fullmatch(text)
    if found is None:
        raise OutOfRange(
            f'The "{header}" HTTP header should contain the ETag (revision followed by MD5 hash), but found: {text}'
        )
    return Seen(int(found[1]), found[2])
