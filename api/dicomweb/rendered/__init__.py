"""What is shown of instances: `resources` (WADO-RS `rendered` and `thumbnail`) and `wado_uri`, which `wado_uri_request` reads.

`rendering` says how a picture is wanted, `addressed_frames` of what; `pictures`, `animation` and `documents` make it.
"""
