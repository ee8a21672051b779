"""Compressed pixels, described without decoding any: pure, and safe on bytes of strangers.

`description` is what a dataset says of its pixels, `image_module` reads it, `frames` where each frame lies among the fragments, `codestream` and
the modules beside it (`jpeg`, `jpeg2000`, `rle`) what the compressed bytes say of themselves, `syntaxes` which of them reads what, `agreement` whether the
two fit together, and what the decoded samples are then.
"""
