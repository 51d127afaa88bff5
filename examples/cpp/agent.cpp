// An agent in C++17: starts a task, streams its text, shows tool calls, approves what is asked, ends with the result.
//
//   c++ -std=c++17 agent.cpp -Iinclude -Ltarget/debug -llapce_ai -o agent
//   ./agent transcript.jsonl /path/to/workspace /path/to/storage
//
// With `--attach runtime-folder` in front, the engine runs in a process of its own, which is started if need be; should that
// process die, the agent attaches to the next one and goes on.
#include <array>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lapce_ai.h"

namespace {

struct Free {
    void operator()(lai_engine *engine) const { lai_engine_free(engine); }
    void operator()(lai_client *client) const { lai_client_free(client); }
    void operator()(lai_error *error) const { lai_error_free(error); }
};
template <class T> using Owned = std::unique_ptr<T, Free>;

lai_str in(std::string_view text) { return {text.data(), text.size()}; }
std::string_view out(lai_str text) { return text.ptr ? std::string_view(text.ptr, text.len) : std::string_view(); }

// The engine's process died.
struct Lost : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Calls a function of the library with an error object; throws what it says.
template <class Call> lai_status call(Call &&function) {
    lai_error *raw = nullptr;
    const lai_status status = function(&raw);
    const Owned<lai_error> error(raw);
    if (status < LAI_OK) {
        const auto what = std::string(out(lai_error_place(raw))) + " " + std::string(out(lai_error_message(raw)));
        if (status == LAI_ERR_LOST) throw Lost(what);
        throw std::runtime_error(what);
    }
    return status;
}

std::string quoted(std::string_view text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') json += '\\';
        json += c;
    }
    return json + '"';
}

class Host {
  public:
    explicit Host(lai_client *client) : client_(client) {}
    // Reads events until the task ends; gives the exit status.
    int follow() {
        while (outcome_ < 0) {
            try {
                read();
            } catch (const Lost &) {
                // Attaches to the next engine, and loses nothing unless the journal is lost.
                bool restored = false;
                call([&](auto error) { return lai_client_reattach(client_, 10000, &restored, error); });
                if (!restored) outcome_ = 1;
            }
            std::cout << std::flush;
        }
        return outcome_;
    }

  private:
    void read() {
        std::array<lai_event, 64> events{};
        std::size_t count = 0;
        call([&](auto error) { return lai_client_next(client_, events.data(), events.size(), &count, error); });
        if (count == 0) call([&](auto error) { return lai_client_wait(client_, -1, 0, error); });
        for (std::size_t at = 0; at < count; ++at) show(events[at]);
        call([&](auto error) { return lai_client_release(client_, count, error); });
    }

    static std::string_view field(const lai_event &event, std::uint32_t number) {
        lai_str text{};
        return lai_event_str(&event, number, &text) == LAI_OK ? out(text) : std::string_view();
    }

    void show(const lai_event &event) {
        switch (event.kind) {
        case LAI_EVENT_MESSAGE_BEGIN:
            streamed_ = event.subject;
            std::cout << '\n';
            break;
        case LAI_EVENT_MESSAGE_DELTA:
        case LAI_EVENT_REASONING_DELTA:
        case LAI_EVENT_TOOL_OUTPUT:
            std::cout << std::string_view(event.data, event.len);
            break;
        case LAI_EVENT_MESSAGE_END: // one that did not stream comes whole
            if (event.subject != streamed_ && field(event, LAI_FIELD_KIND) == "text") {
                std::cout << field(event, LAI_FIELD_TEXT);
            }
            break;
        case LAI_EVENT_TOOL_BEGIN:
            std::cout << "\n[" << field(event, LAI_FIELD_TOOL) << "] ";
            break;
        case LAI_EVENT_TOOL_END:
            std::cout << field(event, LAI_FIELD_STATUS);
            break;
        case LAI_EVENT_ASK: {
            if (field(event, LAI_FIELD_KIND) == "completion_result") break;
            if (field(event, LAI_FIELD_KIND) == "api_req_failed") outcome_ = 1;
            const auto tool = field(event, LAI_FIELD_TOOL);
            std::cout << "\n? " << (tool.empty() ? field(event, LAI_FIELD_TEXT) : tool) << " -> yes";
            call([&](auto error) {
                return lai_task_respond(client_, event.subject, LAI_RESPONSE_YES, lai_str{}, nullptr, error);
            });
            break;
        }
        case LAI_EVENT_TASK_COMPLETED:
            std::cout << "\nresult: " << field(event, LAI_FIELD_RESULT) << '\n';
            outcome_ = 0;
            break;
        case LAI_EVENT_REQUEST_FAILED: // a stale answer came after the question had gone: no harm
            if (field(event, LAI_FIELD_KIND) == "stale") break;
            std::cout << field(event, LAI_FIELD_MESSAGE) << '\n';
            outcome_ = 1;
            break;
        case LAI_EVENT_SESSION_STATE:
            if (field(event, LAI_FIELD_STATE) == "failed") outcome_ = 1;
            break;
        default: break; // kinds of later versions
        }
    }

    lai_client *client_;
    std::uint64_t streamed_ = 0;
    int outcome_ = -1;
};

// A client of an engine in this process, or with a folder, of the engine that serves there.
Owned<lai_client> open(Owned<lai_engine> &engine, const char *folder, char **arguments) {
    const std::string settings = R"({"apiProvider":"replay","replayFile":)" + quoted(arguments[0]) + "}";
    lai_client *client = nullptr;
    if (folder != nullptr) {
        lai_attach_options options{};
        options.struct_size = sizeof options;
        options.flags = LAI_ATTACH_START;
        options.name = in("agent.cpp");
        options.runtime_dir = in(folder);
        options.storage = in(arguments[2]);
        options.settings = in(settings);
        call([&](auto error) { return lai_client_attach(&options, &client, error); });
        return Owned<lai_client>(client);
    }
    lai_engine_options options{};
    options.struct_size = sizeof options;
    options.storage = in(arguments[2]);
    options.settings = in(settings);
    lai_engine *raw = nullptr;
    call([&](auto error) { return lai_engine_new(&options, &raw, error); });
    engine.reset(raw);
    call([&](auto error) { return lai_client_new(raw, nullptr, &client, error); });
    return Owned<lai_client>(client);
}

int run(const char *folder, char **arguments) {
    Owned<lai_engine> engine;
    const auto client = open(engine, folder, arguments);

    lai_task_options task{};
    task.struct_size = sizeof task;
    task.workspace = in(arguments[1]);
    task.text = in("A test of this project fails. Find out why, repair the code, and run the tests.");
    call([&](auto error) { return lai_task_start(client.get(), &task, nullptr, error); });
    return Host(client.get()).follow();
}

} // namespace
int main(int count, char **arguments) try {
    if (count == 4) return run(nullptr, arguments + 1);
    if (count == 6 && std::string_view(arguments[1]) == "--attach") return run(arguments[2], arguments + 3);
    return std::cerr << "usage: agent [--attach runtime-folder] transcript workspace storage\n", 2;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
