"""DICOM files in another transfer syntax.

`transcode` is what others use, `targets` what can be made from what; `source` is the file that is read, `decompression` and `compression` do the work on
pixels, `derivation` says what becomes of an image that loses something.
"""
