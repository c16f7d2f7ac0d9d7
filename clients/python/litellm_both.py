"""LiteLLM: completion and responses, streamed and not, with a function."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no list of prices from the internet

import litellm
from openai import OpenAI

litellm.telemetry = False
name = "openai/" + OpenAI().models.list().data[0].id
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
RESULT = '{"temperature":21,"sky":"sunny"}'
settings = {"model": name, "temperature": 0, "base_url": os.environ["OPENAI_BASE_URL"]}
SUM = [{"role": "user", "content": "What is 384 + 517?"}]
ASK = {"role": "user", "content": "What is the weather in Torvik?"}


def completion():
    answer = litellm.completion(**settings, messages=SUM)
    assert "901" in answer.choices[0].message.content, answer
    assert "901" in answer.choices[0].message.reasoning_content, answer
    chunks = list(litellm.completion(**settings, messages=SUM, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=SUM)
    assert whole.choices[0].message.content == answer.choices[0].message.content, whole
    assert whole.usage.completion_tokens == answer.usage.completion_tokens, whole.usage

    tools = [{"type": "function", "function": WEATHER}]
    message = litellm.completion(**settings, messages=[ASK], tools=tools).choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Torvik"}, call
    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
    final = litellm.completion(**settings, messages=[ASK, message, result], tools=tools)
    assert "21 degrees" in final.choices[0].message.content, final


def responses():
    answer = litellm.responses(**settings, input="What is 384 + 517?")
    assert answer.status == "completed" and "901" in answer.output[-1].content[0].text, answer
    events = list(litellm.responses(**settings, input="What is 384 + 517?", stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == answer.output[-1].content[0].text and events[-1].type == "response.completed", events[-1]

    tools = [{"type": "function", **WEATHER}]
    asked = litellm.responses(**settings, input=[ASK], tools=tools)
    call = asked.output[-1]
    assert json.loads(call.arguments) == {"city": "Torvik"}, call
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}
    history = [item.model_dump(exclude_none=True) for item in asked.output]
    final = litellm.responses(**settings, input=[ASK, *history, result], tools=tools)
    assert "21 degrees" in final.output[-1].content[0].text, final


for job in (completion, responses):
    job()
    print(f"{job.__name__} is well")
