"""What owns state: the index, the one writer; and what runs beside it in the core's process."""
