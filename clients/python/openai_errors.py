"""OpenAI's Python SDK: what is wrong comes back as the SDK's own exception, and names the parameter."""

import openai

client = openai.OpenAI(max_retries=0)
model = client.models.list().data[0].id
ask = {"model": model, "input": "Hello!"}
chat = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
NO_TOOL_NAME = [{"type": "function", "parameters": {}}]
UNASKED_OUTPUT = [{"type": "function_call_output", "call_id": "call_nobody", "output": "1"}]


def refused(kind, call, param=None, code=None):
    try:
        answer = call()
    except kind as error:
        assert param is None or (error.param or "").startswith(param), f"param is {error.param!r}, not {param!r}: {error}"
        assert code is None or error.code == code, f"code is {error.code!r}, not {code!r}: {error}"
        assert error.body["message"] and error.body["type"], error.body
        return
    raise AssertionError(f"accepted: {answer}")


create, complete = client.responses.create, client.chat.completions.create
bad, missing = openai.BadRequestError, openai.NotFoundError

refused(bad, lambda: create(**ask, temperature=3), "temperature")
refused(bad, lambda: create(**ask, top_p="much"), "top_p")
refused(bad, lambda: create(**ask, max_output_tokens=-1), "max_output_tokens")
refused(bad, lambda: create(**ask, tools=NO_TOOL_NAME), "tools[0]")
refused(bad, lambda: create(**ask, tool_choice={"type": "function", "name": "nobody"}), "tool_choice")
refused(bad, lambda: create(model=model, input=UNASKED_OUTPUT), "input[0]")
refused(bad, lambda: create(**ask, store=False, background=True), "background")
refused(bad, lambda: create(**ask, extra_body={"no_such_parameter": 1}), "no_such_parameter")
refused(bad, lambda: create(**ask, stream=True, temperature=3), "temperature")  # before the stream begins
refused((bad, missing), lambda: create(**ask, previous_response_id="resp_nobody"), "previous_response_id")
refused(missing, lambda: client.responses.retrieve("resp_nobody"))
refused(missing, lambda: client.conversations.retrieve("conv_nobody"))
refused(missing, lambda: client.files.retrieve("file-nobody"))
refused(missing, lambda: client.batches.retrieve("batch_nobody"))
refused(missing, lambda: client.models.retrieve("no-such-model"))
refused(missing, lambda: create(**{**ask, "model": "no-such-model"}), "model", "model_not_found")
refused(bad, lambda: complete(**chat, temperature="warm"), "temperature")
refused(bad, lambda: complete(**{**chat, "messages": []}), "messages")
refused(bad, lambda: complete(**{**chat, "messages": [{"role": "king", "content": "Hello!"}]}), "messages[0]")
refused(bad, lambda: complete(**chat, n=0), "n")
refused(bad, lambda: complete(**chat, top_logprobs=3), "top_logprobs")
refused(bad, lambda: create(model=model, input="word " * 20_000), "input", "context_length_exceeded")

foreground = create(**ask)
refused(bad, lambda: client.responses.cancel(foreground.id))
stranger = openai.OpenAI(api_key="not-the-key", max_retries=0)
refused(openai.AuthenticationError, lambda: stranger.responses.create(**ask), code="invalid_api_key")
print("every mistake is told as it should be")
