"""Codecs in processes of their own: what one does to an image is that image's error, and nobody else's.

`pool` is what the server uses; `process` what a codec's process runs, with `decoding` and `libjpeg`; `limits`, `messages`
and `shared` are of both.
"""
