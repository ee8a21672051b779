"""What `/` leads to where no web interface is installed: a page that links to the REST API."""

from html import escape

import falcon

from api.rest.deps import Deps

_LINKS = ("/system", "/statistics", "/patients?expand", "/studies?expand", "/changes", "/events", "/tools")


class Explorer:
    """`/app/explorer.html`, where Orthanc has its Explorer."""

    def __init__(self, deps: Deps) -> None:
        name = escape(deps.settings.name)
        links = "\n".join(f'    <li><a href="..{escape(link)}">{escape(link)}</a></li>' for link in _LINKS)
        self._page = (
            f'<!DOCTYPE html>\n<html lang="en">\n  <head><meta charset="utf-8"><title>{name}</title></head>\n'
            f"  <body>\n  <h1>{name}</h1>\n  <ul>\n{links}\n  </ul>\n  </body>\n</html>\n"
        ).encode()

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "text/html"
        resp.data = self._page
