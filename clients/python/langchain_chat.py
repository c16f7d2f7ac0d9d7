"""LangChain's ChatOpenAI over both APIs: invoke, stream, bind_tools."""

import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import OpenAI

os.environ["LANGSMITH_TRACING"] = "false"
name = OpenAI().models.list().data[0].id


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return '{"temperature":21,"sky":"sunny"}' if city == "Torvik" else "unknown"


for responses in (True, False):
    effort = {"reasoning": {"effort": "medium"}} if responses else {"reasoning_effort": "medium"}
    model = ChatOpenAI(model=name, temperature=0, use_responses_api=responses, stream_usage=True, **effort)

    answer = model.invoke("What is 384 + 517?")
    assert "901" in answer.text, answer
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0, answer.usage_metadata

    pieces = list(model.stream("What is 384 + 517?"))
    whole = sum(pieces[1:], pieces[0])
    assert len(pieces) > 3 and whole.text == answer.text, whole
    assert whole.usage_metadata["total_tokens"] == answer.usage_metadata["total_tokens"], whole.usage_metadata

    with_tool = model.bind_tools([get_weather])
    messages = [HumanMessage("What is the weather in Torvik?")]
    asked = with_tool.invoke(messages)
    (call,) = asked.tool_calls
    assert call["name"] == "get_weather" and call["args"] == {"city": "Torvik"}, call
    messages += [asked, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    assert "21 degrees" in with_tool.invoke(messages).text, messages

    streamed = list(with_tool.stream(messages[:1]))
    (call,) = sum(streamed[1:], streamed[0]).tool_calls
    assert call["args"] == {"city": "Torvik"}, call
    print(f"use_responses_api={responses} is well")
