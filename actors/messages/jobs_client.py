"""The job engine as others see it: the same whether it lives in this process or behind the bridge."""

import uuid
from collections.abc import Callable
from typing import Any

from actors.messages.commands.jobs import ControlJob, DropJobOutput, SubmitJob
from actors.messages.index_client import Ask
from actors.messages.job_states import Word
from actors.messages.job_types import strategy_of
from actors.messages.scheduler import AwaitEnd
from events.identifiers import Ref
from store.projections.job_rows import Progress, unpack_progress

Request = Callable[[AwaitEnd], Any]  # asks the scheduler and blocks, for hours if need be; raises Busy at its end


class JobsClient:
    """Thread-safe."""

    def __init__(self, ask: Ask, request: Request) -> None:
        self._ask = ask
        self._request = request

    def submit(
        self,
        kind: str,
        plan: dict[str, Any],
        *,
        steps: int,
        attempts: int | None = None,
        step_timeout_s: int = 0,
        priority: int = 0,
        user_data: str = "",
        correlation: bytes = b"",
    ) -> tuple[Ref, bytes]:
        """Have a job done; durable when it returns. Returns its Ref and its UUID.

        `attempts`: None for those of the type. `plan` holds plain values, `user_data` is JSON or empty; a step is not limited in time where `step_timeout_s`
        is 0. Raises StorageFull, Busy.
        """
        job_id = uuid.uuid4().bytes
        command = SubmitJob(
            id=job_id,
            type=kind,
            priority=priority,
            steps=steps,
            step_timeout_s=step_timeout_s,
            attempts=strategy_of(kind).attempts if attempts is None else attempts,
            plan=plan,
            user_data=user_data,
            correlation=correlation,
        )
        return Ref(self._ask(command)), job_id

    def wait(self, job: Ref) -> Progress:
        """Wait until a job has ended, however long that takes. Raises NotFound, and Busy when the server stops."""
        return unpack_progress(self._request(AwaitEnd(job)))

    def control(self, job_id: bytes, word: Word, correlation: bytes = b"") -> bool:
        """Pause, resume, cancel, resubmit or forget a job; returns whether that can be done. Raises NotFound."""
        return bool(self._ask(ControlJob(id=job_id, word=word.value, correlation=correlation)))

    def drop_output(self, job_id: bytes, name: str, correlation: bytes = b"") -> None:
        """Remove a file that a job made. Raises NotFound."""
        self._ask(DropJobOutput(id=job_id, key=name, correlation=correlation))
