"""Anthropic's Python SDK over the Messages API: plain, streamed with thinking, with a tool, counted, refused."""

import anthropic

client = anthropic.Anthropic(max_retries=0)  # ANTHROPIC_BASE_URL (without /v1) and ANTHROPIC_API_KEY
model = client.models.list().data[0].id
settings = {"model": model, "max_tokens": 3000, "extra_body": {"temperature": 0}}
THINKING = {"type": "enabled", "budget_tokens": 2048}
SUM = [{"role": "user", "content": "What is 384 + 517?"}]
TOOLS = [
    {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


def plain():
    message = client.messages.create(**settings, messages=SUM, system="You are a helpful assistant.")
    assert message.type == "message" and message.role == "assistant" and message.stop_reason == "end_turn", message
    assert "901" in message.content[-1].text, message.content
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    cut = client.messages.create(**{**settings, "max_tokens": 16}, messages=SUM)
    assert cut.stop_reason == "max_tokens", cut


def streamed():
    text, thought = "", ""
    with client.messages.stream(**settings, messages=SUM, thinking=THINKING) as stream:
        for event in stream:
            text += event.text if event.type == "text" else ""
            thought += event.thinking if event.type == "thinking" else ""
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"], message.content
    assert thought == message.content[0].thinking and "901" in thought, thought
    assert message.content[0].signature, "a thought is signed, so that it can be handed back"
    assert text == message.content[1].text and "901" in text, text
    assert message.usage.output_tokens > 0 and message.stop_reason == "end_turn", message


def tool_loop():
    messages = [{"role": "user", "content": "What is the weather in Torvik?"}]
    for _ in range(3):
        with client.messages.stream(**settings, messages=messages, tools=TOOLS, thinking=THINKING) as stream:
            message = stream.get_final_message()
        messages.append({"role": "assistant", "content": message.content})
        if message.stop_reason != "tool_use":
            break
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert call.name == "get_weather" and call.input == {"city": "Torvik"}, call
        result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"temperature":21,"sky":"sunny"}'}
        messages.append({"role": "user", "content": [result]})
    assert message.stop_reason == "end_turn" and "21 degrees" in message.content[-1].text, message


def counted():
    count = client.messages.count_tokens(model=model, messages=SUM)
    usage = client.messages.create(**settings, messages=SUM).usage
    # What is read from the cache is told apart from the rest.
    assert count.input_tokens == usage.input_tokens + usage.cache_read_input_tokens, (count, usage)


def refused():
    for kind, change in (
        (anthropic.BadRequestError, {"extra_body": {"temperature": "warm"}}),
        (anthropic.BadRequestError, {"messages": []}),
        (anthropic.NotFoundError, {"model": "no-such-model"}),
    ):
        try:
            client.messages.create(**{**settings, "messages": SUM, **change})
        except kind as error:
            assert error.body["type"] == "error" and error.body["error"]["message"], error.body
        else:
            raise AssertionError(f"accepted: {change}")


for job in (plain, streamed, tool_loop, counted, refused):
    job()
    print(f"{job.__name__} is well")
