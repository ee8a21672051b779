"""Everything that is counted. What is read from the archive when somebody asks is in `api.rest.prometheus`.

All processes import this one table, so each number has its place in every row. A new one: a line here, and where it happens.
Names of Orthanc's where Orthanc 1.12.7 has the metric (observed there); ours begin with `sinogram_`.
"""

from actors.wire.board import Age, Counter, Gauge, Histogram, Longest

UP_TIME = Age("orthanc_up_time_s", "Seconds since the start")

PROCESS_STARTS = Counter(
    "sinogram_process_starts_total",
    "Processes started, those that were replaced among them",
    "role",
    ("core", "gateway", "worker", "lua-filter", "lua-main"),
)

# -- HTTP (api.rest.prometheus) --
ACTIVE_REQUESTS = Gauge("orthanc_rest_api_active_requests", "HTTP requests that are being answered")
LONGEST_REQUEST = Longest("orthanc_rest_api_duration_ms", "Longest HTTP request within 10 s")
REQUESTS = Counter(
    "sinogram_http_requests_total", "HTTP requests answered", "status", ("1xx", "2xx", "3xx", "4xx", "5xx")
)
REQUEST_SECONDS = Histogram("sinogram_http_request_seconds", "Time until an HTTP request had its answer")

EVENT_LISTENERS = Gauge("sinogram_event_listeners", "Clients that wait for events of the feed")

# -- ingest (actors.services.ingest) --
LONGEST_STORE = Longest("orthanc_store_dicom_duration_ms", "Longest time to store an instance within 10 s")
LONGEST_WRITE = Longest("orthanc_storage_create_duration_ms", "Longest time to write a file durably within 10 s")
WRITTEN_BYTES = Counter("orthanc_storage_written_bytes", "Bytes written into files of the storage area")
RECEIVED = Counter(
    "sinogram_instances_received_total",
    "Files received, by what became of them",
    "result",
    ("Success", "AlreadyStored", "FilteredOut", "Refused"),
)
RECEIVED_BYTES = Counter("sinogram_received_bytes_total", "Bytes of all files received")
STORE_SECONDS = Histogram("sinogram_store_seconds", "Time from the end of a file to its being stored, or refused")

# -- the index (actors.core.index) --
COMMANDS = Counter("sinogram_commands_total", "Commands to the index", "result", ("done", "refused"))
COMMANDS_WAITING = Gauge("sinogram_commands_waiting", "Commands that wait for the next commit")
COMMITS = Counter("sinogram_commits_total", "Commits of the index", "result", ("done", "failed"))
COMMIT_SECONDS = Histogram("sinogram_commit_seconds", "Time of a commit, with the commands in it")

# -- files (actors.core.file_removal) --
LONGEST_REMOVAL = Longest("orthanc_storage_remove_duration_ms", "Longest time to remove a file within 10 s")
REMOVED_FILES = Counter("sinogram_files_removed_total", "Files of deleted instances removed")

# -- DICOM (api.dicom.server, api.dicom.acceptor) --
ASSOCIATIONS = Gauge("sinogram_associations", "Associations being served")
CONNECTIONS = Counter(
    "sinogram_dicom_connections_total", "DICOM connections accepted", "result", ("served", "rejected", "dropped")
)
DICOM_REQUESTS = Counter(
    "sinogram_dicom_requests_total",
    "Requests of DICOM peers that were served",
    "operation",
    ("Echo", "Find", "FindWorklist", "Get", "Move", "Store", "NAction", "EventReport"),
)

# -- codecs (actors.services.codecs) --
CODECS = Gauge("sinogram_codec_processes", "Codec processes that run")
FRAMES = Counter("sinogram_codec_frames_total", "Frames given to codecs", "result", ("decoded", "failed"))
FRAME_SECONDS = Histogram("sinogram_codec_frame_seconds", "Time of one frame in a codec")

# -- jobs (actors.services.jobs) --
JOB_STEPS = Counter("sinogram_job_steps_total", "Steps of jobs carried out")
JOB_RUNS = Counter("sinogram_job_runs_total", "Runs of jobs, by how they ended", "result", ("end", "fail", "release"))

# -- scripts (actors.services.lua.runtime) --
SCRIPT_CALLS = Counter("sinogram_script_calls_total", "Callbacks and chunks of scripts", "result", ("done", "failed"))
SCRIPT_SECONDS = Histogram("sinogram_script_seconds", "Time of a callback or chunk of scripts")
SCRIPT_REPLAYS = Gauge("sinogram_script_replays", "Dry replays of scripts under way")
