// Vercel's AI SDK over both APIs: text, a stream with a tool, an object.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const baseURL = process.env.OPENAI_BASE_URL;
const openai = createOpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY });
const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
const name = (await (await fetch(`${baseURL}/models`, { headers })).json()).data[0].id;

for (const [api, model] of [["responses", openai.responses(name)], ["chat", openai.chat(name)]]) {
  const settings = { model, temperature: 0, maxRetries: 0 };

  const answer = await generateText({ ...settings, prompt: "What is 384 + 517?" });
  assert.match(answer.text, /901/, api);
  assert.equal(answer.finishReason, "stop", api);
  assert(answer.usage.outputTokens > 0 && answer.usage.inputTokens > 0, api);

  const asked = [];
  const get_weather = tool({
    description: "Get the weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      asked.push(city);
      return { temperature: 21, sky: "sunny" };
    },
  });
  const prompt = "What is the weather in Torvik?";
  const stream = streamText({ ...settings, prompt, tools: { get_weather }, stopWhen: stepCountIs(3) });
  const kinds = new Set();
  for await (const part of stream.fullStream) {
    assert.notEqual(part.type, "error", `${api}: ${part.error}`);
    kinds.add(part.type);
  }
  assert.deepEqual(asked, ["Torvik"], api);
  for (const kind of ["tool-input-delta", "tool-call", "tool-result", "text-delta", "finish"]) {
    assert(kinds.has(kind), `${api}: no ${kind} among ${[...kinds]}`);
  }
  assert.match(await stream.text, /21 degrees and sunny/, api);

  const { object } = await generateObject({
    ...settings,
    schema: z.object({ name: z.string(), age: z.number(), city: z.string() }),
    schemaName: "person",
    prompt: "Mira is 34 years old and lives in Torvik.",
  });
  assert.deepEqual(object, { name: "Mira", age: 34, city: "Torvik" }, api);
  console.log(`${api} is well`);
}
