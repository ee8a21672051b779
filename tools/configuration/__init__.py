"""The server's configuration: Orthanc's files, checked against what every option declares, as values for settings.

- an option is declared once: at the field of the settings class that it fills (`events.options`), or where several make one setting:
  `server`, `dicom_tls`, `lua`, `modalities`, `peers`, `transfer_syntaxes`; those that change nothing are in `without_effect`
- `all_options`: all of them; `page`: the table of docs/configuration.md
- `dialect`: the JSON of the files; `files`: what is read from them; `trial`: certificates tried out
"""

from tools.configuration.files import Configuration, load

__all__ = ["Configuration", "load"]
