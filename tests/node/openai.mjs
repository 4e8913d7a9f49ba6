// OpenAI's client for Node, as its users write it: only the base URL and the key are ours.

import OpenAI, { toFile } from "openai";

import { base, key, rejection, tell } from "./result.mjs";

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key });
const once = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
const model = "gpt-4o-mini";
const said = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const found = {};

const chat = await client.chat.completions.create({ model, messages: said("[[sim say=A runner.]]") });
found.chat = { text: chat.choices[0].message.content, usage: chat.usage.total_tokens > 0 };

const pieces = [];
const stream = await client.chat.completions.create({ model, messages: said("[[sim say=數據 in pieces]]"), stream: true });
for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta?.content ?? "");
found.stream = pieces.join("");

const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
const tool = await client.chat.completions.create({ model, messages: said("[[sim tool=get_weather]] Sunny?"), tools });
found.tool = Object.keys(JSON.parse(tool.choices[0].message.tool_calls[0].function.arguments));

const runner = client.chat.completions.stream({ model, messages: said("[[sim tool=get_weather]] Sunny?"), tools });
const streamed = await runner.finalChatCompletion();
found.streamedTool = Object.keys(JSON.parse(streamed.choices[0].message.tool_calls[0].function.arguments));

const schema = { type: "json_schema", json_schema: { name: "place", strict: true, schema: parameters } };
const parsed = await client.chat.completions.parse({ model, messages: said("Taipei"), response_format: schema });
found.parsed = Object.keys(parsed.choices[0].message.parsed);

const vectors = await client.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"], dimensions: 16 });
found.embeddings = vectors.data.map((each) => each.embedding.length);

const response = await client.responses.create({ model, input: "[[sim say=once]]" });
const kept = await client.responses.retrieve(response.id);
const kinds = [];
for await (const event of await client.responses.create({ model, input: "[[sim say=again]]", stream: true })) kinds.push(event.type);
await client.responses.delete(response.id);
found.responses = { text: response.output_text, kept: kept.id === response.id, first: kinds[0], last: kinds.at(-1) };

const file = await client.files.create({ file: await toFile(Buffer.from("{}\n"), "a.jsonl"), purpose: "batch" });
const content = await (await client.files.content(file.id)).text();
const listed = (await client.files.list()).data.some((each) => each.id === file.id);
found.files = { content, listed, deleted: (await client.files.delete(file.id)).deleted };

// The client writes the members of a form in the order in which they are given: here the file comes first.
const sound = Buffer.alloc(150_000, 7);
const transcript = await client.audio.transcriptions.create({ file: await toFile(sound, "a.wav"), model: "whisper-1" });
const speech = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello" });
found.audio = { text: transcript.text, bytes: (await speech.arrayBuffer()).byteLength };

found.models = (await client.models.list()).data.map((each) => each.id);

found.errors = {
  key: await rejection(new OpenAI({ baseURL: `${base}/v1`, apiKey: "rk_live_no", maxRetries: 0 }).models.list()),
  model: await rejection(once.chat.completions.create({ model: "mystery", messages: said("Hi") })),
  object: await rejection(once.files.retrieve("file-nobody")),
  request: await rejection(once.post("/chat/completions", { body: { messages: [] } })),
  limit: await rejection(once.chat.completions.create({ model: "gpt-once", messages: said("[[sim status=429 retry_after=1]]") })),
  server: await rejection(once.chat.completions.create({ model: "gpt-once", messages: said("[[sim status=503]]") })),
  hangUp: await rejection(once.chat.completions.create({ model: "gpt-once", messages: said("[[sim cut]]") })),
  inStream: await rejection(
    (async () => {
      const broken = await once.chat.completions.create({
        model: "gpt-once", messages: said("[[sim events=9 error_in_stream=5]]"), stream: true,
      });
      for await (const chunk of broken) void chunk;
    })(),
  ),
};

const leaving = new AbortController();
const { data: endless, response: head } = await client.chat.completions
  .create({ model, messages: said("[[sim pace=20ms events=5000 bytes=100000]]"), stream: true }, { signal: leaving.signal })
  .withResponse();
let seen = 0;
try {
  for await (const chunk of endless) {
    seen += chunk.choices.length;
    leaving.abort();
  }
} catch (error) {
  if (!(error instanceof OpenAI.APIUserAbortError)) throw error;
}
found.aborted = { seen: seen > 0, exchange: head.headers.get("x-relay-id"), request: head.headers.get("x-request-id") };

tell(found);
