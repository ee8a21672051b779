"""What gateways, workers and interpreters do. It owns nothing that another process could not take over.

Order, top to bottom: `lua`, `jobs`, `remote`, `ingest`, then `scripts` and `codecs`, which know none of the others.
"""
