"""Codecs in processes of their own: a codec that crashes costs only the image it was decoding.

`pool` is what the server uses; `process` what a codec's process runs, with `decoding` and `libjpeg`; `limits`, `messages`
and `shared` are of both.
"""
