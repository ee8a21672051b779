"""Remote modalities: what is known of them (`modality`, `modalities`), and this server as their client (SCU)."""
