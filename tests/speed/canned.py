"""What the upstream answers, and nginx as that upstream and as the proxy to compare with."""

from __future__ import annotations

import json
from pathlib import Path

REQUEST = json.dumps(
    {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Tell me something that is true. " * 9}]}
).encode()
"""About 380 bytes."""
ANSWER = json.dumps(
    {
        "id": "chatcmpl-canned", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is so. " * 38}}],
        "usage": {"prompt_tokens": 70, "completion_tokens": 90, "total_tokens": 160},
    }
)  # fmt: skip
"""About 680 bytes."""
EVENTS = 100


def event(number: int) -> bytes:
    """One event of about 250 bytes."""
    chunk = {
        "id": "chatcmpl-canned", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": f"word {number:03} " + "so " * 27}, "finish_reason": None}],
    }  # fmt: skip
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def stream() -> bytes:
    """A whole stream of `EVENTS` events."""
    last = {"id": "chatcmpl-canned", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}  # fmt: skip
    usage = {**last, "choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 100, "total_tokens": 170}}
    end = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in (last, usage))
    return b"".join(map(event, range(EVENTS))) + end + b"data: [DONE]\n\n"


def nginx_upstream(folder: Path, port: int) -> str:
    """A configuration that answers everything with `ANSWER`."""
    return _nginx(
        folder,
        f"""
        server {{
            listen 127.0.0.1:{port} backlog=4096;
            location / {{ default_type application/json; return 200 '{ANSWER}'; }}
        }}""",
    )


def nginx_proxy(folder: Path, port: int, upstream: int, *, streams: bool = False) -> str:
    """A configuration that passes everything to `upstream`; with `streams` each piece at once, as a stream's reader needs it."""
    return _nginx(
        folder,
        f"""
        upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
        server {{
            listen 127.0.0.1:{port} backlog=4096;
            location / {{
                proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_buffering {"off" if streams else "on"}; proxy_read_timeout 600s;
            }}
        }}""",
    )


def _nginx(folder: Path, servers: str) -> str:
    return f"""
    worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
    worker_rlimit_nofile 65536;
    events {{ worker_connections 16384; }}
    http {{
        access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
        {servers}
    }}"""
