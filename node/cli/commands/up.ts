import type { Argv } from "yargs";
import { directoryIn, numberIn, TEXTS, waitsIn, withDirectory } from "../arguments.js";
import { usage } from "../usage.js";

const UP_NOTE = `Flags count for this run and are not written to config.json; --udp, --http and --socks replace what it says, --peer
and --host add to it. config.json keeps two things by itself: the NAC, and the UDP port, which stands in for port 0.
The link key stays the same (linkkey.pem) while a UDP address is given, here or in config.json, and is fresh at
each start otherwise; "link": {"key": "persistent"} or "fresh" decides otherwise.`;

/** `onExit` gets the exit code when the node has stopped. */
export function upCommand(root: Argv, onExit: (code: number) => void): Argv {
  return root.command(
    "up",
    "run a node in the foreground",
    (command) =>
      withDirectory(command)
        .option("udp", {
          ...TEXTS,
          describe: "UDP address of this node, IP:PORT; port 0 is the kept one, or a free one",
        })
        .option("http", {
          ...TEXTS,
          describe: "address of the HTTP proxy, IP:PORT or off [127.0.0.1:8000, [::1]:8000]",
        })
        .option("socks", {
          ...TEXTS,
          describe: "address of the SOCKS5 proxy, IP:PORT or off [127.0.0.1:1080]",
        })
        .option("peer", { ...TEXTS, describe: "keep a link to HOST:PORT[#LINKKEYHASH]; repeatable" })
        .option("host", {
          ...TEXTS,
          describe: "answer at overlay PORT with the TCP server at HOST:PORT; PORT=HOST:PORT; repeatable",
        })
        .option("rotate", {
          type: "boolean",
          default: false,
          describe: "new keys and a new NAC as one, on the same port; the old answer for identity.graceHours more",
        })
        .option("journal", {
          type: "string",
          requiresArg: true,
          describe: "record all that the core is given into FILE, keys and contents included; see replay",
        })
        .option("wait", {
          type: "string",
          choices: ["ready"],
          describe: "say nothing before it is ready, and end with 9 when it is not in time",
        })
        .option("timeout", { type: "string", default: "60", describe: "with --wait: give up after so many seconds" })
        .example("$0 up --peer 192.0.2.7:4000", "join through a node you know, and browse through its proxy")
        .example("$0 up --udp 0.0.0.0:4000 --host 80=127.0.0.1:8080", "be reachable, with a web site")
        .epilogue(UP_NOTE),
    async (argv) => {
      const { runUp } = await import("../up.js");
      const { udp, http, socks, peer, host, rotate, journal } = argv;
      const timeoutSeconds = numberIn("--timeout", argv.timeout, 0, 86_400);
      if (Array.isArray(journal)) usage("--journal stands more than once");
      if (journal === "") usage("--journal names no file");
      const options = {
        udp: udp ?? [],
        http: http ?? [],
        socks: socks ?? [],
        peer: peer ?? [],
        host: host ?? [],
        rotate,
        journal,
        waitSeconds: waitsIn(argv.wait) ? timeoutSeconds : undefined,
      };
      onExit(await runUp(directoryIn(argv), options));
    },
  );
}
