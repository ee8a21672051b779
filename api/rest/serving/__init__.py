"""How requests and answers travel. Nothing here knows a noun of the API.

- `server`, `connection`, `https`, `waiting_client`: aiohttp on an event loop; `wsgi`, `incoming_body`, `client_gone`: from there to the application
- `front`, `auth`, `admission`: who gets in; `cors`: which pages of other origins may read; `in_process`: requests of scripts, which are in already
- `folders`: files of folders that the configuration names
- `body`, `inflating`: what a request brings; `replies`, `orthanc_json`, `orthanc_xml`, `fault`, `compression`: what it is answered
"""
