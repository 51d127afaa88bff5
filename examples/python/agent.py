"""An agent in Python: starts a task, streams its text, shows tool calls, approves what is asked, ends with the result.
Nothing but the standard library: ctypes for the calls, asyncio on the client's descriptor, JSON for requests and events.

    LAPCE_AI_LIBRARY=target/debug/liblapce_ai.so python3 agent.py transcript.jsonl /path/to/workspace /path/to/storage

With `--attach runtime-folder` in front, the engine runs in a process of its own, which is started if need be; should that
process die, the agent attaches to the next one and goes on.
"""

import asyncio, ctypes, json, os, sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p


class Str(ctypes.Structure):
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]

    @classmethod
    def of(cls, data):
        return cls(ctypes.cast(c_char_p(data), c_void_p), len(data))  # the caller keeps `data` for the call

    def text(self):
        return ctypes.string_at(self.ptr, self.len).decode() if self.ptr else ""


class EngineOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("workers", c_uint32), ("reserved", c_uint32),
                ("storage", Str), ("home", Str), ("settings", Str)]

class AttachOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("event_slots", c_uint32), ("event_bytes", c_uint32),
                ("request_slots", c_uint32), ("request_bytes", c_uint32), ("timeout_ms", c_uint32),
                ("reserved", c_uint32), ("capabilities", c_void_p), ("capability_count", c_size_t), ("name", Str),
                ("id", Str), ("runtime_dir", Str), ("program", Str), ("storage", Str), ("home", Str), ("settings", Str)]

class Event(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t), ("session", c_uint64), ("subject", c_uint64),
                ("sequence", c_uint64), ("kind", c_uint32), ("flags", c_uint32),
                ("session_sequence", c_uint32), ("reserved", c_uint32)]


library = ctypes.CDLL(os.environ.get("LAPCE_AI_LIBRARY", "liblapce_ai.so.0"))


def declare(name, *arguments, result=c_int32):
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, result
    return function


out = POINTER(c_void_p)
error_message = declare("lai_error_message", c_void_p, result=Str)
error_place = declare("lai_error_place", c_void_p, result=Str)
error_free = declare("lai_error_free", c_void_p, result=None)
string_view = declare("lai_string_view", c_void_p, result=Str)
string_free = declare("lai_string_free", c_void_p, result=None)
engine_new = declare("lai_engine_new", POINTER(EngineOptions), out, out)
engine_free = declare("lai_engine_free", c_void_p, result=None)
client_new = declare("lai_client_new", c_void_p, c_void_p, out, out)
client_attach = declare("lai_client_attach", POINTER(AttachOptions), out, out)
client_reattach = declare("lai_client_reattach", c_void_p, c_uint32, POINTER(c_bool), out)
client_free = declare("lai_client_free", c_void_p, result=None)
client_fd = declare("lai_client_fd", c_void_p, POINTER(c_ssize_t), out)
client_submit = declare("lai_client_submit", c_void_p, Str, POINTER(c_uint64), out)
client_next = declare("lai_client_next", c_void_p, POINTER(Event), c_size_t, POINTER(c_size_t), out)
client_release = declare("lai_client_release", c_void_p, c_size_t, out)
event_json = declare("lai_event_json", POINTER(Event), out, out)
count_tokens = declare("lai_count_tokens", Str, POINTER(c_uint64), out)


ATTACH_START = 4
ERR_LOST = -11


class Lost(Exception):
    """The engine's process died."""


def call(function, *arguments):
    """Calls with an error object; raises what it says."""
    error = c_void_p()
    status = function(*arguments, byref(error))
    if status < 0:
        message = f"{error_place(error).text()} {error_message(error).text()}"
        error_free(error)
        raise Lost(message) if status == ERR_LOST else RuntimeError(message)


class Agent:
    def __init__(self, transcript, storage, folder):
        self.engine, self.client = c_void_p(), c_void_p()
        settings = json.dumps({"apiProvider": "replay", "replayFile": transcript}).encode()
        storage, name = storage.encode(), b"agent.py"
        if folder is not None:
            folder = folder.encode()
            options = AttachOptions(ctypes.sizeof(AttachOptions), ATTACH_START, name=Str.of(name),
                                    runtime_dir=Str.of(folder), storage=Str.of(storage), settings=Str.of(settings))
            call(client_attach, byref(options), byref(self.client))
            return
        options = EngineOptions(ctypes.sizeof(EngineOptions), storage=Str.of(storage), settings=Str.of(settings))
        call(engine_new, byref(options), byref(self.engine))
        call(client_new, self.engine, None, byref(self.client))

    def close(self):
        client_free(self.client)
        engine_free(self.engine)

    def submit(self, **request):
        data = json.dumps(request).encode()
        call(client_submit, self.client, Str.of(data), None)

    async def events(self):
        """Yields events as dictionaries, for ever."""
        fd, readable, loop = c_ssize_t(), asyncio.Event(), asyncio.get_running_loop()
        call(client_fd, self.client, byref(fd))
        loop.add_reader(fd.value, readable.set)
        events, count = (Event * 64)(), c_size_t()
        try:
            while True:
                readable.clear()
                try:
                    call(client_next, self.client, events, 64, byref(count))
                except Lost:  # attaches to the next engine, and loses nothing unless the journal is lost
                    restored = c_bool()
                    call(client_reattach, self.client, 10_000, byref(restored))
                    if not restored.value:
                        return
                    continue
                batch = [self.decode(event) for event in events[:count.value]]
                call(client_release, self.client, count.value)
                for event in batch:
                    yield event
                if not batch:
                    await readable.wait()
        finally:
            loop.remove_reader(fd.value)

    @staticmethod
    def decode(event):
        text = c_void_p()
        call(event_json, byref(event), byref(text))
        try:
            return json.loads(string_view(text).text())
        finally:
            string_free(text)


def tokens(text):
    """What a text costs of a model's context: no engine is needed to tell."""
    data, count = text.encode(), c_uint64()
    call(count_tokens, Str.of(data), byref(count))
    return count.value


TASK = "A test of this project fails. Find out why, repair the code, and run the tests."


async def run(folder, transcript, workspace, storage):
    agent, streamed = Agent(transcript, storage, folder), None
    try:
        agent.submit(type="task.start", workspace=workspace, text=TASK)
        print(f"a task of {tokens(TASK)} tokens")
        async for event in agent.events():
            match event:
                case {"type": "message.begin", "message": message}:
                    streamed = message
                    print()
                case {"type": "message.delta" | "reasoning.delta" | "tool.output", "text": text}:
                    print(text, end="", flush=True)
                case {"type": "message.end", "kind": "text", "text": text, "message": message} if message != streamed:
                    print(text)
                case {"type": "tool.begin", "tool": tool}:
                    print(f"\n[{tool}] ", end="")
                case {"type": "tool.end", "status": status}:
                    print(status, end="")
                case {"type": "ask", "kind": kind, "ask": ask} if kind not in ("completion_result", "api_req_failed"):
                    print(f"\n? {event.get('tool') or event['text']} -> yes", end="")
                    agent.submit(type="task.respond", ask=ask, response="yes")
                case {"type": "task.completed", "result": result}:
                    print(f"\nresult: {result}")
                    return 0
                case {"type": "request.failed", "kind": "stale"}:
                    pass  # an answer came after the question had gone: no harm
                case {"type": "request.failed", "message": text} | {"type": "ask", "kind": "api_req_failed", "text": text}:
                    print(text)
                    return 1
                case {"type": "session.state", "state": "failed"}:
                    return 1
        return 1  # the journal is lost
    finally:
        agent.close()


if __name__ == "__main__":
    arguments, runtime_folder = sys.argv[1:], None
    if arguments[:1] == ["--attach"]:
        _, runtime_folder, *arguments = arguments
    if len(arguments) != 3:
        sys.exit("usage: agent.py [--attach runtime-folder] transcript workspace storage")
    sys.exit(asyncio.run(run(runtime_folder, *arguments)))
