// Anthropic's client for Node, as its users write it: only the base URL and the key are ours.

import Anthropic, { toFile } from "@anthropic-ai/sdk";

import { base, key, rejection, tell } from "./result.mjs";

const client = new Anthropic({ baseURL: base, apiKey: key });
const once = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 });
const asked = (content, more = {}) => ({
  model: "claude-sonnet-4-6", max_tokens: 100, messages: [{ role: "user", content }], ...more,
});
const failing = (content) => asked(content, { model: "claude-once" });
const found = {};

const message = await client.messages.create(asked("[[sim say=A runner.]]"));
found.message = { text: message.content[0].text, stop: message.stop_reason };

const pieces = [];
const stream = client.messages.stream(asked("[[sim say=數據 in pieces]]")).on("text", (text) => pieces.push(text));
const final = (await stream.finalMessage()).content[0].text;
found.stream = { text: pieces.join(""), final };

const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", input_schema }];
const tool = await client.messages.create(asked("[[sim tool=get_weather]] Sunny?", { tools }));
const streamed = await client.messages.stream(asked("[[sim tool=get_weather]] Sunny?", { tools })).finalMessage();
found.tools = [tool, streamed].map((each) => Object.keys(each.content.find((block) => block.type === "tool_use").input));

found.counted = (await client.messages.countTokens({ model: "claude-sonnet-4-6", messages: asked("How many?").messages })).input_tokens;

const file = await client.beta.files.upload({ file: await toFile(Buffer.from("mine"), "a.txt", { type: "text/plain" }) });
const listed = (await client.beta.files.list()).data.some((each) => each.id === file.id);
found.files = { listed, deleted: (await client.beta.files.delete(file.id)).id === file.id };

found.models = (await client.models.list()).data.map((each) => each.id);

found.errors = {
  key: await rejection(new Anthropic({ baseURL: base, apiKey: "rk_live_no", maxRetries: 0 }).messages.create(asked("Hi"))),
  model: await rejection(once.messages.create({ ...asked("Hi"), model: "mystery" })),
  object: await rejection(once.beta.files.retrieveMetadata("file_nobody")),
  limit: await rejection(once.messages.create(failing("[[sim status=429 retry_after=1]]"))),
  overloaded: await rejection(once.messages.create(failing("[[sim status=529]]"))),
  hangUp: await rejection(once.messages.create(failing("[[sim cut]]"))),
  inStream: await rejection(once.messages.stream(failing("[[sim events=9 error_in_stream=5]]")).finalMessage()),
};

const leaving = new AbortController();
const { data: endless, response: head } = await client.messages
  .create({ ...asked("[[sim pace=20ms events=5000 bytes=100000]]"), stream: true }, { signal: leaving.signal })
  .withResponse();
let seen = 0;
try {
  for await (const event of endless) {
    seen += event.type ? 1 : 0;
    leaving.abort();
  }
} catch (error) {
  if (!(error instanceof Anthropic.APIUserAbortError)) throw error;
}
found.aborted = { seen: seen > 0, exchange: head.headers.get("x-relay-id"), request: head.headers.get("request-id") };

tell(found);
