"""OpenAI's Python SDK over the Responses API: plain, streamed, with a function, parsed, chained, stateless."""

import json

from openai import OpenAI
from pydantic import BaseModel

client = OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id
settings = {"model": model, "temperature": 0, "reasoning": {"effort": "medium"}}

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city."}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Person(BaseModel):
    name: str
    age: int
    city: str


def plain():
    response = client.responses.create(
        **settings, input="What is 384 + 517?", instructions="You are a helpful assistant.", metadata={"job": "sum"}
    )
    assert response.status == "completed", response
    assert "901" in response.output_text, response.output_text
    assert [item.type for item in response.output] == ["reasoning", "message"], response.output
    thought, message = response.output
    assert "901" in thought.content[0].text and thought.content[0].type == "reasoning_text", thought
    assert message.role == "assistant" and message.status == "completed" and message.phase == "final_answer", message
    assert response.metadata == {"job": "sum"} and response.instructions == "You are a helpful assistant.", response
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    assert 0 < usage.output_tokens_details.reasoning_tokens < usage.output_tokens, usage

    kept = client.responses.retrieve(response.id)
    assert kept.output == response.output and kept.usage == response.usage, kept


def incomplete():
    response = client.responses.create(**settings, input="What is 384 + 517?", max_output_tokens=16)
    assert response.status == "incomplete", response
    assert response.incomplete_details.reason == "max_output_tokens", response
    assert response.usage.output_tokens <= 16, response.usage


def streamed():
    seen, text, thought = [], "", ""
    with client.responses.stream(**settings, input="What is 384 + 517?") as stream:
        for event in stream:
            assert event.sequence_number == len(seen), f"{event.type} has {event.sequence_number}, not {len(seen)}"
            seen.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.reasoning_text.delta":
                thought += event.delta
        response = stream.get_final_response()
    assert seen[:2] == ["response.created", "response.in_progress"] and seen[-1] == "response.completed", seen
    assert seen.count("response.output_text.delta") > 3, "an answer comes piece by piece"
    assert text == response.output_text and "901" in text, (text, response.output_text)
    assert thought == response.output[0].content[0].text, (thought, response.output[0])
    assert client.responses.retrieve(response.id).output_text == text


def tool_loop():
    items = [{"role": "user", "content": "What is the weather in Torvik?"}]
    for _ in range(3):
        response = client.responses.create(**settings, input=items, tools=[WEATHER])
        items += response.output
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            assert call.name == "get_weather" and json.loads(call.arguments) == {"city": "Torvik"}, call
            assert call.id != call.call_id, call
            result = json.dumps({"temperature": 21, "sky": "sunny"}, separators=(",", ":"))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    assert "21 degrees" in response.output_text and "sunny" in response.output_text, response.output


def tool_streamed():
    with client.responses.stream(**settings, input="What is the weather in Torvik?", tools=[WEATHER]) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        response = stream.get_final_response()
    call = response.output[-1]
    assert call.type == "function_call" and "".join(deltas) == call.arguments, (deltas, call)
    assert json.loads(call.arguments) == {"city": "Torvik"}, call

    result = [{"type": "function_call_output", "call_id": call.call_id, "output": '{"temperature":21,"sky":"sunny"}'}]
    answer = client.responses.create(**settings, previous_response_id=response.id, input=result, tools=[WEATHER])
    assert "21 degrees" in answer.output_text, answer.output


def parsed():
    response = client.responses.parse(
        **settings, input="Mira is 34 years old and lives in Torvik.", text_format=Person
    )
    assert response.output_parsed == Person(name="Mira", age=34, city="Torvik"), response.output


def chained():
    first = client.responses.create(**settings, input="My favorite color is green.")
    second = client.responses.create(**settings, input="What is my favorite color?", previous_response_id=first.id)
    assert "green" in second.output_text, second.output_text
    assert second.previous_response_id == first.id, second
    branch = client.responses.create(**settings, input="Which color do I like most?", previous_response_id=first.id)
    assert "green" in branch.output_text, branch.output_text


def stateless():
    """Nothing is kept on the server: the reasoning travels sealed, and comes back."""
    private = {**settings, "store": False, "include": ["reasoning.encrypted_content"]}
    question = [{"role": "user", "content": "What is the weather in Torvik?"}]
    first = client.responses.create(**private, input=question, tools=[WEATHER])
    thought, call = first.output
    assert thought.type == "reasoning" and thought.encrypted_content, thought
    assert "Torvik" not in thought.encrypted_content, "sealed, not clear"
    history = [item.model_dump(exclude_none=True) for item in first.output]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": '{"temperature":21,"sky":"sunny"}'}
    second = client.responses.create(**private, input=[*question, *history, result], tools=[WEATHER])
    assert "21 degrees" in second.output_text, second.output


def counted_and_compacted():
    question = [{"role": "user", "content": "My favorite color is green."}]
    count = client.responses.input_tokens.count(model=model, input=question)
    assert count.object == "response.input_tokens" and count.input_tokens > 10, count
    response = client.responses.create(**settings, input=question)
    assert abs(response.usage.input_tokens - count.input_tokens) <= 8, (response.usage, count)

    compacted = client.responses.compact(model=model, input=[*question, *response.output])
    assert compacted.object == "response.compaction", compacted
    assert any(item.type == "compaction" and item.encrypted_content for item in compacted.output), compacted
    history = [item.model_dump(exclude_none=True) for item in compacted.output]
    after = client.responses.create(**settings, input=[*history, {"role": "user", "content": "What is 17 + 25?"}])
    assert after.status == "completed" and after.output_text, after


for job in (plain, incomplete, streamed, tool_loop, tool_streamed, parsed, chained, stateless, counted_and_compacted):
    job()
    print(f"{job.__name__} is well")
