"""Client of a Flink cluster's REST interface: jobs, their states and failures, savepoints."""

import time
from typing import Any

import httpx

from operators.configuration.rest_address import RestAddress
from operators.errors import ClusterError
from operators.flink_io.rest_client import rest_client
from operators.settings import JobSettings
from operators.waiting import wait_while

LIVE_STATES = ("INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "CANCELLING", "SUSPENDED")
# causes of a failed savepoint while tasks restart
RESTARTING_CAUSES = ("Checkpoint triggering task", "Trigger checkpoint failure", "Task local checkpoint failure")


class Cluster:
    """The cluster of `job.rest_url`. Each method raises `ClusterError` if the cluster does not answer, or refuses."""

    def __init__(self, job: JobSettings) -> None:
        """Raises `SettingsError` for certificates that cannot be read."""
        self.rest_url = RestAddress.parse(job.rest_url).url
        self._client = rest_client(job)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        response = self._request("GET", path)
        try:
            return response.json()
        except ValueError as error:  # HTML of an ingress or a proxy
            raise ClusterError(
                f"Flink's JSON at {self.rest_url}{path}", response.text[:200], "correct job.rest_url"
            ) from error

    def _request(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **body).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise ClusterError(f"Flink to answer {path}", *_refusal(error.response)) from error
        except httpx.HTTPError as error:
            raise ClusterError(f"a Flink cluster at {self.rest_url}", *_cause(error)) from error

    def jobs(self, name: str | None = None) -> list[dict[str, Any]]:
        """Jobs that have not ended, newest first: jid, name, state."""
        live_jobs = [job for job in self.get("/jobs/overview")["jobs"] if job["state"] in LIVE_STATES]
        return sorted((job for job in live_jobs if name in (None, job["name"])), key=lambda job: -job["start-time"])

    def running_tasks(self, job_id: str) -> bool:
        """Whether every task of the job runs."""
        tasks = self.get(f"/jobs/{job_id}")["vertices"]
        return bool(tasks) and all(task["status"] == "RUNNING" for task in tasks)

    def wait_until_running(self, job_id: str, seconds: float) -> None:
        """Waits until all tasks run. Raises `ClusterError` with the Python traceback if an operator fails."""

        def is_starting() -> bool:
            if self.running_tasks(job_id):
                return False
            if failure := self.failure(job_id):
                raise ClusterError("the job to start", failure, "correct the cause above and submit again")
            return True

        if wait_while(is_starting, seconds):
            raise ClusterError(f"the job to run within {seconds:.0f} s", "it does not yet", f"see {self.rest_url}")

    def failure(self, job_id: str) -> str | None:
        """The newest failure of a job, with its Python part first; None when it never failed."""
        history = self.get(f"/jobs/{job_id}/exceptions").get("exceptionHistory", {}).get("entries", [])
        return python_part(history[0]["stacktrace"]) if history else None

    def cancel(self, job_id: str) -> None:
        """Cancels a job and waits until it has ended."""
        self._request("PATCH", f"/jobs/{job_id}?mode=cancel")
        self._wait_gone(job_id)

    def stop_with_savepoint(self, job_id: str, seconds: float = 120) -> str:
        """Stops a job with a savepoint; returns the savepoint's path. Waits while the job restarts."""
        location = self._savepoint(job_id, "stop", {"drain": False}, seconds)
        self._wait_gone(job_id)
        return location

    def savepoint(self, job_id: str, seconds: float = 120) -> str:
        """Takes a savepoint; the job goes on. Returns the savepoint's path. Waits while the job restarts."""
        return self._savepoint(job_id, "savepoints", {"cancel-job": False}, seconds)

    def dispose_savepoint(self, location: str) -> None:
        """Asks Flink to delete a savepoint; does not wait for it."""
        self._request("POST", "/savepoint-disposal", json={"savepoint-path": location})

    def _savepoint(self, job_id: str, endpoint: str, body: dict[str, object], seconds: float) -> str:
        deadline, cause = time.monotonic() + seconds, "the job does not run"
        while time.monotonic() < deadline:
            if self.running_tasks(job_id):
                trigger_id = self._request("POST", f"/jobs/{job_id}/{endpoint}", json=body).json()["request-id"]
                operation = self._wait_finished(f"/jobs/{job_id}/savepoints/{trigger_id}", deadline)
                if "location" in operation:
                    return str(operation["location"])
                cause = operation["failure-cause"]["stack-trace"][:600]
                if not any(text in cause for text in RESTARTING_CAUSES):
                    break
            time.sleep(0.5)
        raise ClusterError(f"a savepoint within {seconds:.0f} s", cause, "liveshelf logs jobmanager")

    def _wait_finished(self, path: str, deadline: float) -> dict[str, Any]:
        while time.monotonic() < deadline:
            answer = self.get(path)
            if answer["status"]["id"] == "COMPLETED":
                return dict(answer["operation"])
            time.sleep(0.2)
        return {"failure-cause": {"stack-trace": "it is not finished"}}

    def _wait_gone(self, job_id: str, seconds: float = 60) -> None:
        if wait_while(lambda: any(job["jid"] == job_id for job in self.jobs()), seconds, 0.1):
            raise ClusterError("the job to end", "it still runs", "liveshelf logs taskmanager-0")


def _refusal(response: httpx.Response) -> tuple[str, str]:
    """`came` and `fix` of the error."""
    if response.has_redirect_location:
        return f"a redirect to {response.headers['location']}", "set job.rest_url to that address"
    came = f"{response.status_code} {response.text[:400]}"
    if response.status_code in (401, 403):
        return came, "name a user and the password in job.rest_url: https://user:password@host"
    return came, "see the JobManager's log"


def _cause(error: httpx.HTTPError) -> tuple[str, str]:
    """`came` and `fix` of the error."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return str(error), "set job.rest_ca_file to the certificate of the authority that signed the cluster's"
    return repr(error), "liveshelf up, or set job.rest_url"


def python_part(stacktrace: str) -> str:
    """The useful lines of a Java stack trace: the causes and the Python traceback, without Java's frames."""
    lines = stacktrace.splitlines()
    lines = [line for line in lines if ".java:" not in line]  # Python frames are "at" lines too
    python = [line for line in lines if 'File "' in line or ".py:" in line or "Error" in line or "<" in line]
    causes = [line for line in lines if line.startswith("Caused by:")]
    selected = [line for line in lines[:1] + causes if line] + [line for line in python if line not in causes]
    return "\n".join(selected[:25])
