import httpx
import pytest

from operators.errors import ClusterError
from operators.settings import JobSettings
from pipelines.submission.cluster import Cluster


def cluster(response: httpx.Response) -> Cluster:
    """A cluster that always gives this response."""
    result = Cluster(JobSettings())
    result._client = httpx.Client(base_url=result.rest_url, transport=httpx.MockTransport(lambda _: response))
    return result


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(301, headers={"location": "https://127.0.0.1:8081/x"}), "a redirect to https://.*job.rest_url"),
        (httpx.Response(401, text="who are you?"), "401 who are you.*https://user:password@host"),
        (httpx.Response(500, text="leader is gone"), "500 leader is gone.*JobManager's log"),
        (httpx.Response(200, text="<html>Sign in</html>"), "Sign in.*job.rest_url"),
    ],
)
def test_an_answer_that_is_not_flinks_is_said_with_what_to_do(response: httpx.Response, error: str) -> None:
    with pytest.raises(ClusterError, match=error):
        cluster(response).jobs()


def test_an_authority_that_nobody_knows_names_the_setting() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate")

    remote = Cluster(JobSettings(rest_url="https://127.0.0.1"))
    remote._client = httpx.Client(base_url=remote.rest_url, transport=httpx.MockTransport(refuse))
    with pytest.raises(ClusterError, match=r"job\.rest_ca_file"):
        remote.jobs()
