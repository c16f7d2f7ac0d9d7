// OpenAI's JavaScript SDK: responses streamed, chat streamed with functions that it runs itself.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI(); // OPENAI_BASE_URL and OPENAI_API_KEY
const model = (await client.models.list()).data[0].id;
const parameters = {
  type: "object",
  properties: { city: { type: "string", description: "The name of the city." } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { name: "get_weather", description: "Get the weather in a city.", parameters };
const RESULT = '{"temperature":21,"sky":"sunny"}';
const ASK = "What is the weather in Torvik?";
const settings = { model, temperature: 0, reasoning: { effort: "medium" } };

async function responses() {
  let text = "";
  const stream = client.responses.stream({ ...settings, input: "What is 384 + 517?" });
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  const response = await stream.finalResponse();
  assert.equal(response.status, "completed");
  assert.equal(response.output_text, text);
  assert.match(text, /901/);
  assert.deepEqual((await client.responses.retrieve(response.id)).output_text, text);
}

async function responsesTool() {
  const tools = [{ type: "function", strict: true, ...weather }];
  const asked = await client.responses.stream({ ...settings, tools, input: ASK }).finalResponse();
  const call = asked.output.at(-1);
  assert.equal(call.type, "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Torvik" });
  const input = [{ type: "function_call_output", call_id: call.call_id, output: RESULT }];
  const answer = await client.responses.create({ ...settings, tools, input, previous_response_id: asked.id });
  assert.match(answer.output_text, /21 degrees/);
}

async function parsed() {
  const Person = z.object({ name: z.string(), age: z.number(), city: z.string() });
  const format = zodTextFormat(Person, "person");
  const input = "Mira is 34 years old and lives in Torvik.";
  const response = await client.responses.parse({ ...settings, input, text: { format } });
  assert.deepEqual(response.output_parsed, { name: "Mira", age: 34, city: "Torvik" });
}

async function chat() {
  const asked = [];
  const run = (city) => {
    asked.push(city);
    return RESULT;
  };
  const tool = { type: "function", function: { ...weather, function: ({ city }) => run(city), parse: JSON.parse } };
  for (const stream of [false, true]) {
    const runner = client.chat.completions.runTools({
      model,
      temperature: 0,
      reasoning_effort: "medium",
      stream,
      messages: [{ role: "user", content: ASK }],
      tools: [tool],
    });
    assert.match(await runner.finalContent(), /21 degrees and sunny/);
  }
  assert.deepEqual(asked, ["Torvik", "Torvik"]);
}

async function refused() {
  await assert.rejects(client.responses.create({ ...settings, input: "Hello!", temperature: 3 }), (error) => {
    assert(error instanceof OpenAI.BadRequestError, error);
    assert.equal(error.param, "temperature");
    return true;
  });
  await assert.rejects(client.responses.retrieve("resp_nobody"), OpenAI.NotFoundError);
}

for (const job of [responses, responsesTool, parsed, chat, refused]) {
  await job();
  console.log(`${job.name} is well`);
}
