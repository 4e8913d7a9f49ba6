"""The upstream seam: a pooled connection through aiohttp's connector, read with aiohttp's response parser.

`Upstream` is made once per process, an `Origin` once per provider account; `send` gives an `Answer` whose bytes are those of the
wire (nothing is decompressed, no redirect is followed), `upgrade` a `Socket`. There is no `ClientSession`.

What is used of aiohttp beyond its documentation, all of it pinned by `tests/core/engine/upstream/test_aiohttp_contract.py`:

- `BaseConnector.connect(req, traces, timeout)` with a request-like object (`origin.Place`) that has exactly the attributes which
  `TCPConnector` reads; `BaseConnector._factory`, replaced so that connections are made with `channel.Channel`.
- `client_proto.ResponseHandler`: `set_response_params`, `read`, `set_parser`, `close`, `abort`, `is_connected`, `should_close`, `upgraded`,
  `writing_paused`, `_drain_helper`, `_payload`; that `feed_data`, `set_exception`, `pause_reading`, `resume_reading`, `close` and
  `connection_lost` are called on the instance.
- `streams.StreamReader._read_nowait`, which hands out what is buffered even when the connection broke afterwards.
- `client_reqrep.ConnectionKey` and its fields; `Connection.close`, `release`, `protocol`, `transport`.
- `http_websocket.WebSocketReader` and `WebSocketWriter`, `_websocket.reader.WebSocketDataQueue`, and `ClientWebSocketResponse` over a
  response that only has `connection` and `close`; its `_parser`, `_on_data_received` and `_cancel_heartbeat`.
"""

from relay.engine.upstream.answer import Answer, Deadlines
from relay.engine.upstream.failure import Kind, UpgradeRefused, UpstreamError
from relay.engine.upstream.origin import Origin
from relay.engine.upstream.pool import Upstream
from relay.engine.upstream.socket import Socket

__all__ = ["Answer", "Deadlines", "Kind", "Origin", "Socket", "UpgradeRefused", "Upstream", "UpstreamError"]
