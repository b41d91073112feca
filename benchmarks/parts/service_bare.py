"""The bare framework: parses the same JSON, keeps nothing and answers. Run by benchmarks/service.py with a port."""

from __future__ import annotations

import json
import sys
import time

from fastapi import FastAPI, Request

from collectors.web.serving import listening, serving

app = FastAPI(openapi_url=None)


@app.post("/v1/llm/requests")
async def post(request: Request) -> dict[str, object]:
    """As many rows as there are."""
    rows = json.loads(await request.body())
    return {"accepted": len(rows), "duplicate": 0, "rejected": 0, "rows": []}


if __name__ == "__main__":
    with listening("127.0.0.1", int(sys.argv[1]), "service_port") as listens, serving(app, listens, "bare"):
        while True:
            time.sleep(60)
