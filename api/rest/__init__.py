"""The REST API: Orthanc's routes, JSON and errors on falcon, served by aiohttp.

- `app`, `routes`, `front`, `server`: how a request gets in; `deps`, `settings`, `runtime`: what resources are given
- one module a family of URIs; `render_…` make Orthanc's JSON of records, `orthanc_json` and `orthanc_xml` its bytes
"""
