"""One actor a file or folder; what each owns stands at the top of its file."""
