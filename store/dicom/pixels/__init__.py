"""Pixels, described without decoding any: pure, and safe on bytes of strangers.

`image` finds the pixels of a file: `description` is what a dataset says of them, `image_module` reads it, `frames` and `native` say where each frame
lies, among the fragments or in uncompressed pixels. `codestream` and the modules beside it (`jpeg`, `jpeg2000`, `jpeg_xl`, `rle`) are what the compressed bytes
say of themselves, `decodable` which of them reads what, `agreement` whether the two fit together, and what the decoded samples are then.
"""
