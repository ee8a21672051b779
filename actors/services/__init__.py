"""The work of gateways, workers and interpreters. They own nothing that another process could not take over.

Order, top to bottom: `lua`, `jobs`, `modification`, `remote`, `ingest`, `transcoding`, then `scripts` and `codecs`, which know none of the others.
"""
