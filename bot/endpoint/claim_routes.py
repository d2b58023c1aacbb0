"""How jobs pass to workers over HTTP: claims, and what is reported of a claimed job."""

from aiohttp import web

from bot.endpoint.answers import ClaimAnswer, Completed, ProgressAnswer, Released, VerdictAnswer
from bot.endpoint.audit import is_about
from bot.endpoint.bodies import ClaimBody, CompleteBody, FailBody, HolderBody, ProgressBody, read_body
from bot.endpoint.callers import require_inside, signed_report
from bot.endpoint.calls import JOB, KIND, OF_A_JOB, Access, Call
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from jobqueue.lifecycle import State
from jobqueue.wire import timestamp, to_record


class ClaimRoutes:
    """The calls of workers on the queue."""

    def __init__(self, queue: DirectoryQueue, lease_s: float) -> None:
        self._queue = queue
        self._lease_s = lease_s

    def calls(self) -> list[Call]:
        return [
            Call(
                "POST",
                f"/queue/{KIND}/claim",
                self.claim,
                "Take the next job",
                Access.WORKER,
                body=ClaimBody,
                answer=ClaimAnswer,
                is_audited=False,
            ),
            Call(
                "POST",
                f"{JOB}/complete",
                self.complete,
                "Report a job as done",
                Access.WORKER,
                CompleteBody,
                Completed,
                **OF_A_JOB,
            ),
            Call(
                "POST",
                f"{JOB}/fail",
                self.fail,
                "Report a failed attempt",
                Access.WORKER,
                FailBody,
                VerdictAnswer,
                **OF_A_JOB,
            ),
            Call(
                "POST",
                f"{JOB}/progress",
                self.progress,
                "Report progress and renew the lease",
                Access.WORKER,
                ProgressBody,
                ProgressAnswer,
                is_audited=False,
                **OF_A_JOB,
            ),
            Call(
                "POST",
                f"{JOB}/release",
                self.release,
                "Hand a job back, no attempt counted",
                Access.WORKER,
                HolderBody,
                Released,
                **OF_A_JOB,
            ),
        ]

    async def claim(self, request: web.Request) -> web.Response:
        body = await read_body(request, ClaimBody)
        delivery = await self._queue.claim(
            _kind(request), signed_report(request, body.report()), claim_id=body.claim_id, wait_s=body.wait
        )
        if delivery is None:
            return web.json_response({"job": None})
        if request.transport is None or request.transport.is_closing():
            # Whoever waited for this job has hung up: nobody must wait for a lease to run out.
            await self._queue.release(delivery.claim)
            return web.json_response({"job": None})
        is_about(request, delivery.job.id)
        record = to_record(delivery.job)
        record |= {"claim_token": delivery.claim.token, "lease_s": round(delivery.lease_s, 3)}
        return web.json_response({"job": record})

    async def complete(self, request: web.Request) -> web.Response:
        body = await read_body(request, CompleteBody)
        kind, job_id = _kind(request), request.match_info["job_id"]
        named = [path for path in (body.audio_path, body.video_path) if path]
        if named:
            # By the job's folder, which never changes: who repeats a report holds the job no more.
            folder = (await self._queue.get(kind, job_id)).job.organized_path
            for path in named:
                require_inside(request, path, folder)
        await self._queue.complete(body.claim(kind, job_id), body.result())
        return web.json_response({"status": State.COMPLETED})

    async def fail(self, request: web.Request) -> web.Response:
        body = await read_body(request, FailBody)
        claim = body.claim(_kind(request), request.match_info["job_id"])
        verdict = await self._queue.fail(claim, body.error_message, permanent=body.permanent)
        not_before = None if verdict.not_before is None else timestamp(verdict.not_before)
        return web.json_response(
            {"status": verdict.state, "retry_count": verdict.retry_count, "not_before": not_before}
        )

    async def progress(self, request: web.Request) -> web.Response:
        body = await read_body(request, ProgressBody)
        claim = body.claim(_kind(request), request.match_info["job_id"])
        is_cancelled = await self._queue.progress(claim, body.progress())
        return web.json_response({"cancel": is_cancelled, "lease_s": 0 if is_cancelled else self._lease_s})

    async def release(self, request: web.Request) -> web.Response:
        body = await read_body(request, HolderBody)
        await self._queue.release(body.claim(_kind(request), request.match_info["job_id"]))
        return web.json_response({"status": State.PENDING})


def _kind(request: web.Request) -> Kind:
    return Kind(request.match_info["kind"])
