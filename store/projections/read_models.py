"""All projections but that of deletion, which has each of them forget what leaves."""

from store.projections import (
    attachments,
    blobs,
    changes,
    commitments,
    counters,
    files,
    find,
    history,
    id_counts,
    jobs,
    labels,
    lookup,
    main_tags,
    metadata,
    peers,
    recycling,
    resources,
    scripts,
    server,
    worklists,
)

_MODULES = (
    lookup,  # before the rows of resources: what tags told before stands there
    find,
    resources,
    id_counts,
    counters,
    changes,
    history,
    labels,
    metadata,
    main_tags,
    recycling,
    attachments,
    blobs,
    files,
    jobs,
    server,
    peers,
    commitments,
    worklists,
    scripts,
)
READ_MODELS = tuple(module.PROJECTION for module in _MODULES)
