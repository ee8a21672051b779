"""The REST API: Orthanc's routes, JSON and errors on falcon.

- `app`: the table of nouns; a noun is one module with its routes at its foot, with what it takes and shows beside it (`render_…`) where
  others need that, too
- `deps`, `settings`, `runtime`: what nouns are given; `arguments`, `fields`, `remote_request`, `job_submission`: what requests have in common
- `serving`: how requests and answers travel
"""
