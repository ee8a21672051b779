"""Stored instances modified and anonymised: the file of one (`modified_file`), and which transfer syntaxes they can be had in (`target_syntax`)."""
