"""What a service of DICOMweb gives: who answers which methods of which addresses below the root."""

from collections.abc import Callable, Mapping

Handler = Callable[..., None]  # as falcon calls a responder: (req, resp, study=…, series=…)
Handlers = Mapping[str, Mapping[str, Handler]]  # address below the root -> method -> who answers it
