"""Stored instances modified and anonymised: the file of one (`modified_file`)."""
