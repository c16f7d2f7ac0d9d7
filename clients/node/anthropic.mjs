// Anthropic's JavaScript SDK over the Messages API: plain, streamed with thinking, a tool, counted.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic(); // ANTHROPIC_BASE_URL (without /v1) and ANTHROPIC_API_KEY
const model = (await client.models.list()).data[0].id;
const settings = { model, max_tokens: 3000, temperature: 0 };
const thinking = { type: "enabled", budget_tokens: 2048 };
const messages = [{ role: "user", content: "What is 384 + 517?" }];

async function plain() {
  const message = await client.messages.create({ ...settings, messages });
  assert.equal(message.stop_reason, "end_turn");
  assert.match(message.content.at(-1).text, /901/);
  const { input_tokens } = await client.messages.countTokens({ model, messages });
  // What is read from the cache is told apart from the rest.
  assert.equal(input_tokens, message.usage.input_tokens + message.usage.cache_read_input_tokens);
}

async function streamed() {
  let text = "";
  let thought = "";
  const stream = client.messages.stream({ ...settings, messages, thinking });
  stream.on("text", (delta) => (text += delta)).on("thinking", (delta) => (thought += delta));
  const message = await stream.finalMessage();
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
  assert.equal(thought, message.content[0].thinking);
  assert.equal(text, message.content[1].text);
  assert.match(text, /901/);
}

async function toolLoop() {
  const tools = [
    {
      name: "get_weather",
      description: "Get the weather in a city.",
      input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  ];
  const history = [{ role: "user", content: "What is the weather in Torvik?" }];
  let message;
  for (let round = 0; round < 3; round++) {
    message = await client.messages.stream({ ...settings, thinking, tools, messages: history }).finalMessage();
    history.push({ role: "assistant", content: message.content });
    if (message.stop_reason !== "tool_use") break;
    const call = message.content.find((block) => block.type === "tool_use");
    assert.deepEqual(call.input, { city: "Torvik" });
    const content = '{"temperature":21,"sky":"sunny"}';
    history.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content }] });
  }
  assert.match(message.content.at(-1).text, /21 degrees and sunny/);
}

for (const job of [plain, streamed, toolLoop]) {
  await job();
  console.log(`${job.name} is well`);
}
