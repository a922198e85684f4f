"""Asking a service how it is."""

import asyncio
import http.client
import json

from tenacity import AsyncRetrying, retry_if_result, wait_exponential


async def readiness(port: int) -> dict[str, str]:
    """Ask the service behind a local port for its checks: empty texts where all is well.

    Parameters
    ----------
    port
        Its HTTP port on the loopback interface.
    """
    return await asyncio.to_thread(_ask, port)


async def until_ready(port: int) -> None:
    """Wait until the service behind a local port is ready."""

    async def problems() -> list[str]:
        return [problem for problem in (await readiness(port)).values() if problem]

    wait = wait_exponential(multiplier=0.1, max=2)
    await AsyncRetrying(retry=retry_if_result(bool), wait=wait)(problems)


def _ask(port: int) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/readyz")
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"http": f"no answer ({type(error).__name__})"}
    finally:
        connection.close()
    return {name: "" if said == "ok" else str(said) for name, said in body["checks"].items()}
