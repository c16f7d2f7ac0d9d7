"""OpenAI's Python SDK over Chat Completions: plain, streamed, with a function, several choices, logprobs, JSON."""

import json

from openai import OpenAI
from pydantic import BaseModel

client = OpenAI()
model = client.models.list().data[0].id
settings = {"model": model, "temperature": 0, "reasoning_effort": "medium"}
SUM = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "What is 384 + 517?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The name of the city."}},
                "required": ["city"],
            },
        },
    }
]


class Person(BaseModel):
    name: str
    age: int
    city: str


def plain():
    completion = client.chat.completions.create(**settings, messages=SUM)
    choice = completion.choices[0]
    assert choice.finish_reason == "stop" and "901" in choice.message.content, choice
    assert "901" in choice.message.reasoning_content, "the chain of thought is told beside the answer"
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert usage.completion_tokens_details.reasoning_tokens > 0, usage
    cut = client.chat.completions.create(**settings, messages=SUM, max_completion_tokens=16)
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens <= 16, cut


def streamed():
    chunks = list(
        client.chat.completions.create(**settings, messages=SUM, stream=True, stream_options={"include_usage": True})
    )
    assert len({chunk.id for chunk in chunks}) == 1, "all chunks are of one completion"
    *pieces, last = chunks
    assert last.choices == [] and last.usage.completion_tokens > 0, last
    assert all(chunk.usage is None for chunk in pieces), "usage comes with the last chunk"
    assert pieces[0].choices[0].delta.role == "assistant", pieces[0]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    thought = "".join(getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in pieces)
    assert "901" in text and "901" in thought and pieces[-1].choices[0].finish_reason == "stop", (text, thought)

    with client.chat.completions.stream(**settings, messages=SUM) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == text, completion


def tool_loop():
    messages = [{"role": "user", "content": "What is the weather in Torvik?"}]
    for _ in range(3):
        choice = client.chat.completions.create(**settings, messages=messages, tools=TOOLS).choices[0]
        messages.append(choice.message)
        if choice.finish_reason != "tool_calls":
            break
        for call in choice.message.tool_calls:
            assert call.function.name == "get_weather", call
            assert json.loads(call.function.arguments) == {"city": "Torvik"}, call
            messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"temperature":21,"sky":"sunny"}'})
    assert choice.finish_reason == "stop" and "21 degrees" in choice.message.content, choice


def tool_streamed():
    messages = [{"role": "user", "content": "What is the weather in Torvik?"}]
    identities, arguments = [], ""
    with client.chat.completions.stream(**settings, messages=messages, tools=TOOLS) as stream:
        for event in stream:
            if event.type == "chunk" and event.chunk.choices and event.chunk.choices[0].delta.tool_calls:
                (delta,) = event.chunk.choices[0].delta.tool_calls
                identities += [delta.id] if delta.id else []
                arguments += delta.function.arguments or ""
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls" and len(identities) == 1, "a call's id comes once"
    call = choice.message.tool_calls[0]
    assert call.id == identities[0] and call.function.arguments == arguments, call
    assert json.loads(arguments) == {"city": "Torvik"}, arguments


def choices():
    completion = client.chat.completions.create(**settings, messages=SUM, n=2)
    assert [choice.index for choice in completion.choices] == [0, 1], completion
    assert all("901" in choice.message.content for choice in completion.choices), completion


def logprobs():
    choice = client.chat.completions.create(**settings, messages=SUM, logprobs=True, top_logprobs=2).choices[0]
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content, tokens
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 2, token
        assert token.top_logprobs[0].token == token.token, "at temperature 0 the likeliest token is taken"
        assert bytes(token.bytes).decode() == token.token, token


def stopped():
    choice = client.chat.completions.create(**settings, messages=SUM, stop=[" = "]).choices[0]
    assert choice.finish_reason == "stop", choice
    assert choice.message.content.strip() == "384 + 517", "the stop string itself is left out"


def parsed():
    messages = [{"role": "user", "content": "Mira is 34 years old and lives in Torvik."}]
    completion = client.chat.completions.parse(**settings, messages=messages, response_format=Person)
    assert completion.choices[0].message.parsed == Person(name="Mira", age=34, city="Torvik"), completion


for job in (plain, streamed, tool_loop, tool_streamed, choices, logprobs, stopped, parsed):
    job()
    print(f"{job.__name__} is well")
