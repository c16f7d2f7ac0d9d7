"""OpenAI's Python SDK over a WebSocket: turns of one conversation that the server keeps no record of."""

from openai import NotFoundError, OpenAI

client = OpenAI()
model = client.models.list().data[0].id
settings = {"model": model, "temperature": 0, "reasoning": {"effort": "medium"}, "store": False}


def turn(connection, **request):
    """Sends a request; gives the finished response, or the event of an error."""
    connection.response.create(**settings, **request)
    text = ""
    for event in connection:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "error":
            return event
        elif event.type == "response.completed":
            assert event.response.output_text == text, (text, event.response)
            return event.response
    raise AssertionError("the connection ended before the response")


with client.responses.connect() as connection:
    first = turn(connection, input="My favorite color is green.")
    second = turn(connection, input="What is my favorite color?", previous_response_id=first.id)
    assert "green" in second.output_text, second.output_text
    lost = turn(connection, input="Hello!", previous_response_id="resp_nobody")
    assert lost.error.code == "previous_response_not_found", lost
    third = turn(connection, input="What is 384 + 517?")
    assert "901" in third.output_text, "an error does not end the connection"

try:
    client.responses.retrieve(first.id)
except NotFoundError:
    print("the socket is well")
else:
    raise AssertionError("store: false, and yet it is kept")
