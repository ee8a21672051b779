"""Remote modalities: what is known of them, and this server as their client (SCU).

- `modality`, `modalities`: one, and all there are; `peers`: other servers by HTTP
- `target`, `requestor`, `association`, `association_pool`: an association requested, open, kept; `explanation`: why it ended
- `echo_scu`, `find_scu`, `get_scu`, `move_scu`, `store_scu`, and what the answers of several have in common, `exchange`
- `query`, `asking`, `answer_limits`, `query_store`, `query_folder`: questions to modalities, and their answers kept for `/queries`
- `stored_sender`, `sent_file`, `outgoing`: instances and files on their way out
"""
