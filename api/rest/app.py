"""The REST API as one WSGI application: Orthanc's front rules, falcon's routing, Orthanc's errors."""

import falcon

from api.rest.compression import Compression
from api.rest.deps import Deps
from api.rest.fault import Faults
from api.rest.front import Application, Front
from api.rest.metrics import Measured
from api.rest.routes import list_routes


def create_app(deps: Deps) -> Application:
    """Return the WSGI application for HTTP. It holds no state of its own: what it is given does."""
    front = Measured(Front(create_application(deps), deps.settings, deps.filters))
    return Compression(front) if deps.settings.http_compression_enabled else front


def create_application(deps: Deps) -> Application:
    """Return what is behind the front: the routes, for requests that need no admission."""
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App()
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.default_media_type = None  # type: ignore[assignment]  # no body, no Content-Type
    faults = Faults(describe=deps.settings.http_describe_errors)
    app.add_error_handler(Exception, faults.on_error)
    app.add_error_handler(falcon.HTTPError, faults.on_unknown_route)
    app.add_error_handler(falcon.HTTPMethodNotAllowed, faults.on_wrong_method)
    for template, resource in list_routes(deps).items():
        app.add_route(template, resource)
    return app
