// An agent in JavaScript, without dependencies: lines of JSON over the socket of an engine that was started by
//
//   lapce-ai serve --json agent.sock --settings settings.json
//   node agent.mjs agent.sock /path/to/workspace
//
// Each line that goes in is a request, answered at once by `accepted` or `refused`; all other lines that come are events.
import { createConnection } from "node:net";
import { createInterface } from "node:readline";

const [socket, workspace] = process.argv.slice(2);
if (workspace === undefined) {
  console.error("usage: agent.mjs socket workspace");
  process.exit(2);
}
const engine = createConnection(socket);
const submit = (request) => engine.write(JSON.stringify(request) + "\n");
const print = (text) => process.stdout.write(text);
const end = (code) => {
  process.exitCode = code;
  engine.end();
};
let streamed = null;

const show = {
  "message.begin": ({ message }) => print(((streamed = message), "\n")),
  "message.delta": ({ text }) => print(text),
  "reasoning.delta": ({ text }) => print(text),
  "tool.output": ({ text }) => print(text),
  "message.end": ({ kind, text, message }) => kind === "text" && message !== streamed && print(text ?? ""),
  "tool.begin": ({ tool }) => print(`\n[${tool}] `),
  "tool.end": ({ status }) => print(status),
  ask({ kind, ask, tool, text }) {
    if (kind === "completion_result") return;
    if (kind === "api_req_failed") return end(1);
    print(`\n? ${tool ?? text} -> yes`);
    submit({ type: "task.respond", ask, response: "yes" });
  },
  "task.completed": ({ result }) => end((print(`\nresult: ${result}\n`), 0)),
  "session.state": ({ state }) => state === "failed" && end(1),
  refused: ({ place, message }) => end((print(`${place}: ${message}\n`), 1)),
  // An answer that came after its question had gone does no harm.
  "request.failed": ({ kind, message }) => kind !== "stale" && end((print(message + "\n"), 1)),
};

process.exitCode = 1; // unless the task is completed
engine.on("error", (error) => console.error(error.message));
createInterface({ input: engine }).on("line", (line) => {
  const event = JSON.parse(line);
  show[event.type]?.(event); // events of later versions are skipped
});
submit({
  type: "task.start",
  workspace,
  text: "A test of this project fails. Find out why, repair the code, and run the tests.",
});
